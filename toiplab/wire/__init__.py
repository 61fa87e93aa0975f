"""What goes over the wire, read from captures: UDP datagrams, SIP messages, RTP packets."""
