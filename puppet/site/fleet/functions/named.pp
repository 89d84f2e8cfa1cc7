# @summary A host of the fleet.
# @param name its short name
# @return its entry in the description of the fleet
function fleet::named(Fleet::Name $name) >> Fleet::Host {
  include fleet
  $fleet::hosts[$name]
}
