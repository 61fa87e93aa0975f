"""The lab file: the only thing a teacher edits, and the model it is checked against."""
