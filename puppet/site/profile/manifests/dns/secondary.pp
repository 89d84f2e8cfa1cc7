# @summary A zone that is copied from another server.
#
# @param primaries addresses it is copied from; both of a dual-stack server, or PowerDNS refuses
#   the NOTIFY that comes from the other one
# @param transfer_key name of the key that signs the transfer
# @param secret the key that this host signs the zone with, the same as its primary; without one
#   signatures are copied
# @param peers private addresses of the other hosts of the fleet that serve it
define profile::dns::secondary (
  Array[Stdlib::IP::Address::Nosubnet, 1] $primaries,
  Profile::Dns::Name $transfer_key,
  Optional[Sensitive[String[1]]] $secret = undef,
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
) {
  $listed = $primaries.join(' ')
  $label = $primaries.length ? { 1 => 'Primary', default => 'Primaries' }
  $shown = $primaries.map |$address| {
    $address ? {
      Stdlib::IP::Address::V6 => "[${address}]:53 ",
      default                 => "${address}:53 ",
    }
  }

  exec { "dns: create ${title}":
    command => "/usr/bin/pdnsutil create-secondary-zone ${title} ${listed}",
    unless  => "/usr/bin/pdnsutil show-zone ${title}",
    require => [Class['profile::dns::server'], Profile::Dns::Transfer_key[$transfer_key]],
    notify  => Exec["dns: fetch ${title}"],
  }

  # With it, signatures are this server's to make; without it, a key left here would add others to
  # what is copied.
  -> profile::dns::signing { $title:
    secret => $secret,
    notify => Exec["dns: fetch ${title}"],
  }

  -> profile::dns::shared { $title:
    peers        => $peers,
    transfer_key => $transfer_key,
    signed       => $secret =~ NotUndef,
    notify       => Exec["dns: fetch ${title}"],
  }

  -> exec {
    default:
      notify => Exec["dns: fetch ${title}"],
      ;
    "dns: primaries of ${title}":
      command => "/usr/bin/pdnsutil change-secondary-zone-primary ${title} ${listed}",
      unless  => "/usr/bin/pdnsutil show-zone ${title} | /usr/bin/grep -qxF '${label}: ${shown.join}'",
      ;
    "dns: kind of ${title}":
      command => "/usr/bin/pdnsutil set-kind ${title} secondary",
      unless  => "/usr/bin/pdnsutil list-all-zones secondary --verbose | /usr/bin/grep -qxF ${title}",
      require => Exec["dns: primaries of ${title}"],
      ;
  }

  exec { "dns: fetch ${title}":
    command     => "/usr/bin/pdns_control purge '${title}\$' && /usr/bin/pdns_control retrieve ${title}",
    refreshonly => true,
  }
}
