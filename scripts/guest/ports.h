/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVMGUEST_PORTS_H
#define KVMGUEST_PORTS_H

#define PORT_DONE	0x10	/* a phase is over */
#define PORT_TICK	0x20	/* one exit of --op io and its kin */

/* A guest of the guest touches it; flat and long, below 4G and where no slot is. */
#define L2_GPA		0x80000000

#endif
