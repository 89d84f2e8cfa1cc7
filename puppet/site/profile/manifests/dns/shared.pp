# @summary What every server of a zone needs that several hosts of the fleet serve.
#
# It is the same on all of them, so that the primary and a secondary can change places, and a server
# that was overtaken can follow without anybody's help (`dns-ready`).
#
# @param peers private addresses of the other hosts that serve it; none when it is served alone
# @param transfer_key name of the key that signs transfers between them
# @param signed whether each of them signs it, with the same key
define profile::dns::shared (
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
  Optional[Profile::Dns::Name] $transfer_key = undef,
  Boolean $signed = false,
) {
  $key = $peers.empty ? {
    true    => [],
    default => [$transfer_key],
  }

  $settings = {
    # Whole zones go to whoever has the key.
    'TSIG-ALLOW-AXFR'  => $key,
    'ALSO-NOTIFY'      => $peers,
    'AXFR-MASTER-TSIG' => $transfer_key ? { undef => [], default => [$transfer_key] },
    'LUA-AXFR-SCRIPT'  => ($signed and !$peers.empty) ? {
      true    => ['/etc/powerdns/live-signing.lua'],
      default => [],
    },
  }

  $settings.each |$setting, $values| {
    profile::dns::metadata { "${setting} of ${title}":
      zone    => $title,
      setting => $setting,
      values  => $values,
    }
  }
}
