# @summary A setting of one zone, as PowerDNS keeps it beside the zone.
#
# @param zone the zone
# @param setting its name, see https://doc.powerdns.com/authoritative/domainmetadata.html
# @param values its values; it is removed when there are none
# @example
#   profile::dns::metadata { 'ALSO-NOTIFY of nordlys.example':
#     zone    => 'nordlys.example',
#     setting => 'ALSO-NOTIFY',
#     values  => ['10.83.0.20'],
#   }
define profile::dns::metadata (
  Profile::Dns::Name $zone,
  Pattern[/\A[A-Z0-9-]+\z/] $setting,
  Array[String[1]] $values,
) {
  $read = "/usr/bin/pdnsutil get-meta ${zone} ${setting}"
  $test = $values.empty ? {
    true    => { 'onlyif' => "${read} | /usr/bin/grep -q '^${setting} = .'" },
    default => { 'unless' => "${read} | /usr/bin/grep -qxF '${setting} = ${values.join(', ')}'" },
  }

  exec { "dns: ${title}":
    command => "/usr/bin/pdnsutil set-meta ${zone} ${setting} ${values.join(' ')} && /usr/bin/pdns_control purge '${zone}\$'",
    *       => $test,
  }
}
