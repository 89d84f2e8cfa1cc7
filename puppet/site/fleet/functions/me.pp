# @summary The host whose catalog this is.
# @return its entry in the description of the fleet
function fleet::me() >> Fleet::Host {
  include fleet
  $fleet::hosts[$trusted['hostname']]
}
