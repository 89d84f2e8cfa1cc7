# @summary A zone that is copied from another server.
#
# @param primaries addresses it is copied from; both of a dual-stack server, or PowerDNS refuses
#   the NOTIFY that comes from the other one
# @param transfer_key name of the key that signs the transfer
define profile::dns::secondary (
  Array[Stdlib::IP::Address::Nosubnet, 1] $primaries,
  Profile::Dns::Name $transfer_key,
) {
  $listed = $primaries.join(' ')
  $shown = $primaries.map |$address| {
    $address ? {
      Stdlib::IP::Address::V6 => "[${address}]:53 ",
      default                 => "${address}:53 ",
    }
  }

  exec {
    default:
      require => Exec["dns: create ${title}"],
      notify  => Exec["dns: fetch ${title}"],
      ;
    "dns: create ${title}":
      command => "/usr/bin/pdnsutil create-secondary-zone ${title} ${listed}",
      unless  => "/usr/bin/pdnsutil show-zone ${title}",
      require => [Class['profile::dns::server'], Profile::Dns::Transfer_key[$transfer_key]],
      ;
    "dns: primaries of ${title}":
      command => "/usr/bin/pdnsutil change-secondary-zone-primary ${title} ${listed}",
      unless  => "/usr/bin/pdnsutil show-zone ${title} | /usr/bin/grep -qxF 'Primaries: ${shown.join}'",
      ;
    "dns: transfer key of ${title}":
      command => "/usr/bin/pdnsutil activate-tsig-key ${title} ${transfer_key} secondary",
      unless  => "/usr/bin/pdnsutil get-meta ${title} AXFR-MASTER-TSIG | /usr/bin/grep -qxF 'AXFR-MASTER-TSIG = ${transfer_key}'",
      ;
    # Signatures are the primary's to make; a key left here would add others to what is copied.
    "dns: unsign ${title}":
      command => "/usr/bin/pdnsutil disable-dnssec ${title}",
      onlyif  => "/usr/bin/pdnsutil show-zone ${title} | /usr/bin/grep -q '^ID = '",
      ;
    "dns: kind of ${title}":
      command => "/usr/bin/pdnsutil set-kind ${title} secondary",
      unless  => "/usr/bin/pdnsutil list-all-zones secondary --verbose | /usr/bin/grep -qxF ${title}",
      ;
  }

  exec { "dns: fetch ${title}":
    command     => "/usr/bin/pdns_control purge '${title}\$' && /usr/bin/pdns_control retrieve ${title}",
    refreshonly => true,
  }
}
