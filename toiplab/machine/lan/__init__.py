"""The lab network: adapter 2 of the machine, and phones, on a bridge that leads nowhere.

``network`` is the story's beginning; ``phone`` and ``dhcp`` are what is plugged in,
``capture`` is what went over the bridge. ``namespaces`` and ``programs`` are what it is
made of, and ``preconditions`` tells beforehand what the host lacks for it.
"""
