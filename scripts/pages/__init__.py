"""The pages of docs/reference, a module each: page(program) gives the text."""
