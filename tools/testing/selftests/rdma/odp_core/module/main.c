// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The device that tests of the ODP core talk to.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "test.h"

static const test_cmd_t commands[] = {
	[_IOC_NR(ODP_TEST_REGISTER)] = test_register,
	[_IOC_NR(ODP_TEST_DESTROY)] = test_destroy,
	[_IOC_NR(ODP_TEST_FAULT)] = test_fault,
	[_IOC_NR(ODP_TEST_FAULT_ASYNC)] = test_fault_async,
	[_IOC_NR(ODP_TEST_JOIN)] = test_join,
	[_IOC_NR(ODP_TEST_ACCESS)] = test_access,
	[_IOC_NR(ODP_TEST_PAGE_REFS)] = test_page_refs,
	[_IOC_NR(ODP_TEST_NOTIFY_START)] = test_notify_start,
	[_IOC_NR(ODP_TEST_NOTIFY_END)] = test_notify_end,
	[_IOC_NR(ODP_TEST_YOUNG)] = test_young,
	[_IOC_NR(ODP_TEST_RELEASE)] = test_release,
	[_IOC_NR(ODP_TEST_REAP)] = test_reap,
	[_IOC_NR(ODP_TEST_HOLD)] = test_hold,
	[_IOC_NR(ODP_TEST_REACHED)] = test_reached,
	[_IOC_NR(ODP_TEST_NEXT)] = test_next,
	[_IOC_NR(ODP_TEST_LET_GO)] = test_let_go,
	[_IOC_NR(ODP_TEST_PASSED)] = test_passed,
	[_IOC_NR(ODP_TEST_PATIENCE)] = test_patience,
};

static int test_open(struct inode *inode, struct file *filp)
{
	struct test_file *file;

	file = kzalloc(sizeof(*file), GFP_KERNEL);
	if (!file)
		return -ENOMEM;

	odp_owner_init(&file->owner);
	xa_init_flags(&file->umems, XA_FLAGS_ALLOC);
	filp->private_data = file;
	return 0;
}

static int test_close(struct inode *inode, struct file *filp)
{
	struct test_file *file = filp->private_data;

	test_hooks_let_go();
	test_umems_free(file);
	kfree(file);
	return 0;
}

/* Bad user memory gives EINVAL, as EFAULT is a result of the core. */
static long ioctl_state(struct test_file *file, void __user *arg)
{
	struct odp_test_state state;
	long ret;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EINVAL;
	ret = test_state(file, &state);
	if (copy_to_user(arg, &state, sizeof(state)))
		return -EINVAL;
	return ret;
}

static long ioctl_cmd(struct test_file *file, test_cmd_t run, void __user *arg)
{
	struct odp_test_cmd cmd;
	long ret;

	if (copy_from_user(&cmd, arg, sizeof(cmd)))
		return -EINVAL;
	ret = run(file, &cmd);
	if (!cmd.at)
		cmd.at = ktime_get_ns();
	if (copy_to_user(arg, &cmd, sizeof(cmd)))
		return -EINVAL;
	return ret;
}

static long test_ioctl(struct file *filp, unsigned int nr, unsigned long arg)
{
	struct test_file *file = filp->private_data;
	void __user *user = (void __user *)arg;

	if (nr == ODP_TEST_STATE)
		return ioctl_state(file, user);
	if (_IOC_NR(nr) >= ARRAY_SIZE(commands) ||
	    nr != ODP_TEST_CMD(_IOC_NR(nr)))
		return -ENOTTY;
	return ioctl_cmd(file, commands[_IOC_NR(nr)], user);
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_close,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "odp_core_test",
	.fops = &test_fops,
	.mode = 0600,
};

struct workqueue_struct *test_wq;

static int __init test_init(void)
{
	int err;

	test_hooks_init();
	test_wq = alloc_workqueue("odp_core_test", WQ_UNBOUND, 0);
	if (!test_wq)
		return -ENOMEM;

	err = misc_register(&test_device);
	if (err)
		destroy_workqueue(test_wq);
	return err;
}

static void __exit test_exit(void)
{
	misc_deregister(&test_device);
	destroy_workqueue(test_wq);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("Test of the on-demand paging core");
MODULE_LICENSE("Dual BSD/GPL");
