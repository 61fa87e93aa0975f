"""Builders turn a rendered lab into a disk; every builder meets one contract."""
