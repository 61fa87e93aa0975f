"""The exam: checks named by the rows of the appliance, each with what it saw."""
