# @summary Whether this host signs a zone.
#
# A key that is in use is never exchanged here: the parent must be told first, which is a procedure
# of its own.
#
# @param secret the key; without one the zone is not signed here
define profile::dns::signing (
  Optional[Sensitive[String[1]]] $secret = undef,
) {
  $keyfile = "/etc/powerdns/keys/${title}.private"
  $signed = "/usr/bin/pdnsutil show-zone ${title} | /usr/bin/grep -q '^ID = '"

  if $secret {
    file { $keyfile:
      ensure    => file,
      owner     => 'root',
      group     => 'root',
      mode      => '0600',
      show_diff => false,
      content   => $secret,
    }

    -> exec { "dns: sign ${title}":
      command => "/usr/bin/pdnsutil import-zone-key ${title} ${keyfile} active ksk published",
      unless  => $signed,
    }
  } else {
    exec { "dns: unsign ${title}":
      command => "/usr/bin/pdnsutil disable-dnssec ${title}",
      onlyif  => $signed,
    }
  }
}
