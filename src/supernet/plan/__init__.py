"""What a command will do, made before it is done: objects that were checked against each other. ``--dry-run`` prints it.

Here settings are read, files too; what runs is handed what it needs and sees no settings.
"""
