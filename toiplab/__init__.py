"""toip-lab: one lab file in, one proven telephony appliance (OVA) out.

The packages tell the story from left to right:
``lab`` -> ``render`` -> ``builders`` -> ``image`` -> ``machine`` -> ``exam``.
"""

__version__ = "0.1.0"
