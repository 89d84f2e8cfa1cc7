# The one decision made here: which role a node has. It stands in the description of the fleet,
# so that a new host needs no line in this repository.

# Hiera has a layer for each role; while the role itself is looked up there is none.
$role = with('') |$role| { lookup("fleet::hosts.${trusted['hostname']}.role", String[1]) }

include "role::${role}"
