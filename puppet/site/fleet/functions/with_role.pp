# @summary The hosts of a role, in order of promotion.
# @param role the role
# @return their entries; empty where no host has the role
function fleet::with_role(String[1] $role) >> Array[Fleet::Host] {
  include fleet
  $found = $fleet::hosts.values.filter |$host| { $host['role'] == $role }
  $found.sort |$a, $b| { compare($a['promotion_order'], $b['promotion_order']) }
}
