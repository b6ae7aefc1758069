"""Ask for architectures and be told what they are worth: one trial, any number of them, who estimates them, the loop."""
