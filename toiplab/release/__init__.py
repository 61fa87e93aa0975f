"""A release: the OVA proved, built again, and laid out with what belongs to it."""
