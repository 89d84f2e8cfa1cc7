# @summary Who serves something to the world, as far as the migration has come.
#
# The finished steps say it, whatever data each of them gives to the profiles.
#
# @param service what is served
# @return short names of the hosts, in order of promotion
# @example whom to ask for pages
#   $hosts = fleet::serving('web')
function fleet::serving(Enum['dns', 'web', 'mail'] $service) >> Array[Fleet::Name] {
  include fleet
  $reached = lookup('stage::reached', Array[String[1]], 'first', [])
  $steps = {
    'dns'  => { 'production' => 'dns',  'standby' => 'dns_secondary' },
    'web'  => { 'production' => 'web',  'standby' => 'web_ha' },
    'mail' => { 'production' => 'mail', 'standby' => 'mail_ha' },
  }[$service]
  $found = $fleet::enrolled.filter |$name| { $steps[$fleet::hosts[$name]['role']] in $reached }
  $found.sort |$a, $b| {
    compare($fleet::hosts[$a]['promotion_order'], $fleet::hosts[$b]['promotion_order'])
  }
}
