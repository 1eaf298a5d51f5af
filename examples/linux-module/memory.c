// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * Guest memory: pages of the VMM, pinned.
 *
 * Why pinned, and not followed by an mmu notifier: a back end in software reaches guest memory with plain loads and
 * stores of the kernel, in the middle of anything; it could neither be made to wait for a page to come back, nor does
 * it take a fault where one is missing. So the pages have to stay while the guest can reach them, which is what
 * FOLL_LONGTERM is for: they move out of the way of CMA and hotplug once, are charged to RLIMIT_MEMLOCK, and are marked
 * dirty when they are let go.
 *
 * The library sees one piece of memory, its "storage": tables first, which no user process has mapped, then every area.
 * It is a mapping of all these pages in a row, made when the first vCPU is; that is why what it consists of is frozen
 * from then on. What the guest's stage-2 tables say about it is not: regions come, go and move. Where hardware runs the
 * guest, the tables lie in a row in absolute storage too; the library asks the machine where each other page is.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "module.h"

/* Pages pinned in one go, between looks at signals. */
#define XARCH_PIN_BATCH		4096UL
/* 512 GiB: a list of more pages is more than the kernel allocates without complaint. */
#define XARCH_MOST_PAGES	(1UL << 27)

static void xarch_unpin(struct xarch_vm_file *vm, struct xarch_area *area, unsigned long pages)
{
	unsigned long done, batch;

	for (done = 0; done < pages; done += batch) {
		batch = min(pages - done, XARCH_PIN_BATCH);
		unpin_user_pages_dirty_lock(area->page + done, batch, true);
		cond_resched();
	}
}

static void xarch_drop_area(struct xarch_vm_file *vm, struct xarch_area *area)
{
	list_del(&area->list);
	xarch_unpin(vm, area, area->pages);
	account_locked_vm(vm->mm, area->pages, false);
	vm->charged -= area->pages;
	kvfree(area->page);
	kfree(area);
}

static int xarch_pin(struct xarch_vm_file *vm, struct xarch_area *area)
{
	unsigned long done = 0;
	int error = 0;

	while (!error && done < area->pages) {
		int batch = min(area->pages - done, XARCH_PIN_BATCH);
		int got = pin_user_pages_fast(area->user + (done << PAGE_SHIFT), batch,
					      FOLL_WRITE | FOLL_LONGTERM, area->page + done);

		if (got > 0)
			done += got;
		else
			error = got ?: -EFAULT;
		if (!error && signal_pending(current) && done < area->pages)
			error = -EINTR;
		cond_resched();
	}
	if (error)
		xarch_unpin(vm, area, done);
	return error;
}

/* Pins user memory as an area of its own. With vm->lock held. */
static struct xarch_area *xarch_new_area(struct xarch_vm_file *vm, u64 user, u64 bytes)
{
	struct xarch_area *area;
	int error;

	/* Not even a list of these is made. */
	if (bytes >> PAGE_SHIFT > totalram_pages())
		return ERR_PTR(-ENOMEM);
	area = kzalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		return ERR_PTR(-ENOMEM);
	area->user = user;
	area->pages = bytes >> PAGE_SHIFT;
	error = account_locked_vm(vm->mm, area->pages, true);
	if (error)
		goto free;
	error = -ENOMEM;
	area->page = kvmalloc_array(area->pages, sizeof(*area->page), GFP_KERNEL_ACCOUNT);
	if (!area->page)
		goto uncharge;
	error = xarch_pin(vm, area);
	if (error)
		goto free_pages;
	vm->charged += area->pages;
	list_add_tail(&area->list, &vm->areas);
	return area;

free_pages:
	kvfree(area->page);
uncharge:
	account_locked_vm(vm->mm, area->pages, false);
free:
	kfree(area);
	return ERR_PTR(error);
}

/* Returns the area that user memory lies in. With vm->lock held. */
static struct xarch_area *xarch_area_of(struct xarch_vm_file *vm, u64 user, u64 bytes)
{
	struct xarch_area *area;

	list_for_each_entry(area, &vm->areas, list) {
		u64 all = (u64)area->pages << PAGE_SHIFT;

		if (user >= area->user && user - area->user <= all && bytes <= all - (user - area->user))
			return area;
	}
	if (vm->window)
		return ERR_PTR(-EBUSY);
	return xarch_new_area(vm, user, bytes);
}

static void xarch_leave_area(struct xarch_vm_file *vm, struct xarch_area *area)
{
	if (area && !--area->users && !vm->window)
		xarch_drop_area(vm, area);
}

static struct xarch_slot xarch_slot_of(const struct xarch_memory_region *region)
{
	return (struct xarch_slot){
		.size = sizeof(struct xarch_slot),
		.flags = region->flags & XARCH_REGION_READ_ONLY ? XARCH_SLOT_READ_ONLY : 0,
		.guest = region->guest,
		.host = region->area->offset + (region->user - region->area->user),
		.bytes = region->bytes,
	};
}

/* The platform's slot callback: runs inside a guest's slice, with vm->running held by it. */
int xarch_find_slot(struct xarch_vm_file *vm, u64 address, struct xarch_slot *slot)
{
	unsigned int index;

	for (index = 0; index < XARCH_REGIONS; index++) {
		const struct xarch_memory_region *region = &vm->region[index];

		if (region->bytes && address >= region->guest && address - region->guest < region->bytes) {
			const struct xarch_slot found = xarch_slot_of(region);

			slot->flags = found.flags;
			slot->guest = found.guest;
			slot->host = found.host;
			slot->bytes = found.bytes;
			return XARCH_OK;
		}
	}
	return XARCH_E_NOENT;
}

static int xarch_add_slot(struct xarch_vm_file *vm, const struct xarch_memory_region *region)
{
	const struct xarch_slot slot = xarch_slot_of(region);
	int error;

	preempt_disable();
	error = xarch_api->add_slot(vm->backend, &slot);
	preempt_enable();
	return error;
}

static int xarch_remove_slot(struct xarch_vm_file *vm, const struct xarch_memory_region *region)
{
	int error;

	preempt_disable();
	error = xarch_api->remove_slot(vm->backend, region->guest, region->bytes);
	preempt_enable();
	return error;
}

/* Gives the library the regions that there are before the first vCPU. */
int xarch_add_regions(struct xarch_vm_file *vm)
{
	unsigned int index;
	int error;

	for (index = 0; index < XARCH_REGIONS; index++) {
		if (!vm->region[index].bytes)
			continue;
		error = xarch_add_slot(vm, &vm->region[index]);
		if (error)
			return error;
	}
	return 0;
}

/* Takes vm->running for writing. Guests in the middle of a slice are asked to leave it. */
int xarch_stop_guests(struct xarch_vm_file *vm)
{
	unsigned int index;

	for (index = 0; index < vm->vcpus; index++)
		if (vm->backend)
			xarch_api->request_exit(vm->backend, index);
	return down_write_killable(&vm->running);
}

static int xarch_replace_region(struct xarch_vm_file *vm, struct xarch_memory_region *region,
				const struct xarch_memory_region *wish)
{
	const struct xarch_memory_region old = *region;
	int error = 0;

	if (!vm->vm) {
		*region = *wish;
		return 0;
	}
	if (old.bytes) {
		region->bytes = 0;
		error = xarch_remove_slot(vm, &old);
	}
	if (!error && wish->bytes) {
		*region = *wish;
		error = xarch_add_slot(vm, wish);
		if (error) {
			*region = (struct xarch_memory_region){ 0 };
			/* What was there fits again; if not, the guest has no memory there. */
			if (old.bytes && !xarch_add_slot(vm, &old))
				*region = old;
			else if (old.bytes)
				xarch_leave_area(vm, old.area);
			return error;
		}
	}
	if (error)
		*region = old;
	else if (!wish->bytes)
		*region = *wish;
	return error;
}

static bool xarch_overlaps(const struct xarch_vm_file *vm, unsigned int but, const struct xarch_memory_region *wish)
{
	unsigned int index;

	for (index = 0; index < XARCH_REGIONS; index++) {
		const struct xarch_memory_region *region = &vm->region[index];

		if (index != but && region->bytes && wish->guest < region->guest + region->bytes &&
		    region->guest < wish->guest + wish->bytes)
			return true;
	}
	return false;
}

static int xarch_check_region(const struct xarch_vm_file *vm, const struct xarch_region *wish)
{
	u64 end;

	if (wish->region >= XARCH_REGIONS || wish->flags & ~XARCH_REGION_READ_ONLY ||
	    (wish->guest_address | wish->bytes | wish->user_address) & ~PAGE_MASK)
		return -EINVAL;
	if (!wish->bytes)
		return 0;
	if (wish->bytes >> PAGE_SHIFT > XARCH_MOST_PAGES)
		return -EINVAL;
	if (check_add_overflow(wish->guest_address, wish->bytes, &end) || end > 1ULL << vm->address_bits)
		return -ERANGE;
	if (!access_ok((void __user *)(unsigned long)wish->user_address, wish->bytes))
		return -EFAULT;
	return 0;
}

long xarch_set_region(struct xarch_vm_file *vm, const struct xarch_region *from)
{
	struct xarch_memory_region wish = {
		.bytes = from->bytes,
		.guest = from->guest_address,
		.user = from->user_address,
		.flags = from->flags,
	};
	struct xarch_memory_region *region;
	struct xarch_area *left = NULL;
	int error = xarch_check_region(vm, from);

	if (error)
		return error;
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	region = &vm->region[array_index_nospec(from->region, XARCH_REGIONS)];
	error = -ENOENT;
	if (!wish.bytes && !region->bytes)
		goto unlock;
	error = -EEXIST;
	if (wish.bytes && xarch_overlaps(vm, from->region, &wish))
		goto unlock;
	error = 0;
	if (wish.bytes) {
		wish.area = xarch_area_of(vm, wish.user, wish.bytes);
		error = PTR_ERR_OR_ZERO(wish.area);
	}
	if (error)
		goto unlock;
	if (wish.area)
		wish.area->users++;
	error = xarch_stop_guests(vm);
	if (!error) {
		left = region->area;
		error = xarch_replace_region(vm, region, &wish);
		up_write(&vm->running);
	}
	xarch_leave_area(vm, error ? wish.area : left);
unlock:
	mutex_unlock(&vm->lock);
	return error;
}

/* 4 MiB, and 1/256 of what the tables describe: xarch.h, table_bytes. */
static unsigned long xarch_table_pages(unsigned long pages)
{
	unsigned long plenty = (4UL << 20 >> PAGE_SHIFT) + pages / 256;

	/* In a row there are no more than these; a guest for which that is too little is refused by the library. */
	return xarch_on_hardware() ? min(plenty, 1UL << (MAX_ORDER - 1)) : plenty;
}

/* Finds pages for tables, in a row where a machine reads them. */
static int xarch_table_memory(struct xarch_vm_file *vm)
{
	unsigned long at;
	void *row = NULL;

	if (xarch_on_hardware()) {
		row = alloc_pages_exact(vm->table_pages << PAGE_SHIFT, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!row)
			return -ENOMEM;
	}
	for (at = 0; at < vm->table_pages; at++) {
		vm->window_page[at] = row ? virt_to_page(row + (at << PAGE_SHIFT)) :
					    alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!vm->window_page[at])
			return -ENOMEM;
		if (!(at % 512))
			cond_resched();
	}
	return 0;
}

/* Makes the window of all areas. With vm->lock held. Undone by xarch_thaw. */
int xarch_freeze(struct xarch_vm_file *vm)
{
	unsigned long pages = 0, at;
	struct xarch_area *area;

	list_for_each_entry(area, &vm->areas, list)
		pages += area->pages;
	vm->table_pages = xarch_table_pages(pages);
	if (vm->table_pages + pages > XARCH_MOST_PAGES)
		return -E2BIG;
	vm->window_page = kvcalloc(vm->table_pages + pages, sizeof(*vm->window_page), GFP_KERNEL_ACCOUNT);
	if (!vm->window_page)
		return -ENOMEM;
	if (xarch_table_memory(vm))
		goto thaw;
	at = vm->table_pages;
	list_for_each_entry(area, &vm->areas, list) {
		area->offset = (u64)at << PAGE_SHIFT;
		memcpy(vm->window_page + at, area->page, area->pages * sizeof(*area->page));
		at += area->pages;
	}
	vm->window_pages = at;
	vm->window = vmap(vm->window_page, at, VM_MAP, PAGE_KERNEL);
	if (vm->window)
		return 0;
thaw:
	xarch_thaw(vm);
	return -ENOMEM;
}

void xarch_thaw(struct xarch_vm_file *vm)
{
	struct xarch_area *area, *next;
	unsigned long at;

	if (vm->window)
		vunmap(vm->window);
	vm->window = NULL;
	if (vm->window_page)
		for (at = 0; at < vm->table_pages && vm->window_page[at]; at++)
			__free_page(vm->window_page[at]);
	kvfree(vm->window_page);
	vm->window_page = NULL;
	/* Areas that only the window kept. */
	list_for_each_entry_safe(area, next, &vm->areas, list)
		if (!area->users)
			xarch_drop_area(vm, area);
}

/* The end: nobody else knows the VM. */
void xarch_release_memory(struct xarch_vm_file *vm)
{
	unsigned int index;

	for (index = 0; index < XARCH_REGIONS; index++)
		if (vm->region[index].bytes)
			vm->region[index].area->users--;
	xarch_thaw(vm);
	WARN_ON_ONCE(!list_empty(&vm->areas) || vm->charged);
}
