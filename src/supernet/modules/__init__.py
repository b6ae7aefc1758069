"""What can be done with any network of PyTorch: switched, sketched without storage, stored, written as plain PyTorch."""
