"""What makes machines exist: containers, later virtual machines. Nothing above names which."""
