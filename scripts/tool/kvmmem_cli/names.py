# SPDX-License-Identifier: GPL-2.0
"""What people call a VM."""


def name_from(argv):
    """The VM's name in the command line of its VMM, or None."""
    found = {}
    for option, value in zip(argv, argv[1:] + [""]):
        if option.startswith("--") and "=" in option:
            option, value = option.split("=", 1)
        if option in ("-name", "--name"):
            # QEMU's [guest=]NAME[,option=value...], a comma in NAME being doubled.
            parts = [part.replace("\0", ",") for part in value.replace(",,", "\0").split(",")]
            named = [part[6:] for part in parts if part.startswith("guest=")]
            found.setdefault("name", (named + [p for p in parts[:1] if "=" not in p] + [""])[0])
        elif option == "--id":
            found.setdefault("id", value)
    return found.get("name") or found.get("id") or None
