// SPDX-License-Identifier: GPL-2.0
/*
 * One test for each kernel API that comes and goes: see configure.sh.
 */
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmap_lock.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/tracepoint.h>
#include <linux/xarray.h>

#include "commit_region.h"
#include "dirty_ring.h"
#include "folio_ksm.h"
#include "ftrace_argument.h"
#include "ftrace_regs.h"
#include "guest_memfd.h"
#include "guest_state_protected.h"
#include "hyperv_enabled.h"
#include "mce_count.h"
#include "memslot_iterator.h"
#include "never.h"
#include "open_root_path.h"
#include "pf_taken.h"
#include "reg_of_cr.h"
#include "remote_requests.h"
#include "root_info.h"
#include "root_role.h"
#include "softleaf.h"
#include "stat_generic.h"
#include "stat_pages.h"
#include "swp_offset_pfn.h"
#include "tracepoint_srcu.h"
#include "used_mmu_pages.h"
#include "vm_debugfs.h"
#include "vm_type.h"
#include "xas_order.h"
#include "zap_collapsible.h"
