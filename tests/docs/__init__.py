"""The pages of docs/, and that they say everything."""
