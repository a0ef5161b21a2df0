/* SPDX-License-Identifier: GPL-2.0 */
/* file_open_root() takes a struct path */
static struct file *test_open_root_path(const struct path *root)
{
	return file_open_root(root, "/", O_RDONLY, 0);
}
