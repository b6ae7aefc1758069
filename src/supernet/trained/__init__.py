"""What is asked of a supernet that is trained already: how well its shared weights rank, and networks for further bounds."""
