"""Every example, checked from outside under exactly the rights of its `rbac.yaml`: `make acceptance EXAMPLE=users`.

Rows are data as those of the Memcached operator are. Each example has a module of its name here: what it is, and its
rows. They tell the demo as well: what the admin does in them is shown as commands.
"""
