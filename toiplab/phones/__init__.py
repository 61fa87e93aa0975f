"""Phones that talk SIP to the appliance from outside."""
