"""The exam: the booted appliance, checked row by row against what its lab file says.

``candidate`` is the OVA with all that belongs to it, ``subject`` the appliance that runs.
``plan`` strings the checks together, each named by its row of the contract. Of the services as
they report themselves: ``system``, ``packages``, ``network``, ``ssh``, ``asterisk``,
``dialplan``, ``sip`` and ``calls``; ``readings`` and ``asterisk_readings`` read what the guest's
programs print. With phones: ``leases``, ``logins``, ``restarts``, ``scripted``,
``conversations``, ``voicemail``, ``parking`` and ``transfers``; their phones stand at ``places``
and are used through ``handsets``, the ``cast`` says which plays in which check, ``prompts`` are
what they must hear.

``runner`` runs checks one after the other, ``together`` side by side. ``smoke`` does all of it
for an OVA, ``running`` for a machine that is already up (over ``ssh_guest``); ``results`` and
``junit`` write what was found.
"""
