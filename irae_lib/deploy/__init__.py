"""What runs elsewhere: the demonstration page of a Space."""
