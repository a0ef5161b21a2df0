# SPDX-License-Identifier: GPL-2.0
"""The kvmmem tool, from below to above; each file uses those before it only.

columns, units   what there is to see, and how people read it
parse            bytes of /proc/kvmmem to rows
words            which of them changed since the reading before
snapshot         one reading of the host, its VMs
interval         two readings, and what happened between them
names, detail    names from libvirt and command lines; more from debugfs
store            the recording
source, replay   where readings come from: the module, copies, a recording
one              one running VM, asked for by name
feed             readings for a screen that is refreshed
metrics          what is exported, by which names
exposition       readings as text for Prometheus
webconfig, web   the port, and who may read it
all others       a view each, with its parts
"""

VERSION = "1.0.0"
