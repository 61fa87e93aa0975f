#!/bin/sh
# What udhcpc runs at each event (busybox, udhcpc -s): tells the event and what the server
# sent, which is in the environment, and changes nothing.
echo "event=$1"
env
echo
