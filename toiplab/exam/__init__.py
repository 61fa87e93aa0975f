"""The exam: the booted appliance, checked row by row against what its lab file says.

``subject`` is who is examined. ``system``, ``packages``, ``network``, ``ssh``, ``asterisk``,
``dialplan`` and ``sip`` hold the checks, each named by its row of the contract; ``readings``
and ``asterisk_readings`` read what the guest's programs print. ``conversations``,
``voicemail``, ``parking``, ``transfers`` and ``scripted`` make calls, with the phones of
``handsets`` and the appliance's own ``prompts``. ``first`` lists the checks of the first
exam, ``runner`` runs them, ``junit`` writes the results, and ``smoke`` does all of it for
an OVA.
"""
