# @summary When this host's turn is, so that no two hosts do the same thing at the same time.
#
# The turns lie evenly in the period, in order of promotion: what goes wrong is seen on the
# standby before it reaches production.
#
# @param period how long one round takes, in any unit
# @return the time from the beginning of the round, in the same unit
# @example every half hour, minutes apart
#   $minute = fleet::stagger(30)
function fleet::stagger(Integer[1] $period) >> Integer[0] {
  include fleet
  $turns = $fleet::hosts.map |$name, $host| { [$host['promotion_order'], $name] }
  $order = $turns.sort |$a, $b| { compare($a[0], $b[0]) }
  $turn = $order.index |$entry| { $entry[1] == $trusted['hostname'] }
  $turn * $period / $order.length
}
