# SPDX-License-Identifier: GPL-2.0
"""The kvmmem tool: columns and units, snapshots of the file, and a module a command."""
