# @summary A zone of which this host holds the content.
#
# @param content what is in it
# @param ttl_limit no time to live is longer than these seconds
# @param secret the key that signs it; without one it is not signed. A key that is in use is never
#   exchanged here: the parent must be told first, which is a procedure of its own.
define profile::dns::primary (
  Profile::Dns::Content $content,
  Optional[Integer[1]] $ttl_limit = undef,
  Optional[Sensitive[String[1]]] $secret = undef,
) {
  $file = "/etc/powerdns/zones/${title}.zone"
  $keyfile = "/etc/powerdns/keys/${title}.private"

  file { $file:
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('profile/dns/zone.epp', {
        'zone'    => $title,
        'content' => $content,
        'limit'   => pick($ttl_limit, 2147483647),
    }),
  }

  # Whole from the first moment on: a new zone is created by its content.
  exec { "dns: load ${title}":
    command => "/usr/local/sbin/pdns-zone load ${title} ${file}",
    unless  => "/usr/local/sbin/pdns-zone loaded ${title} ${file}",
    require => [Class['profile::dns::server'], File[$file]],
  }

  -> exec { "dns: kind of ${title}":
    command => "/usr/bin/pdnsutil set-kind ${title} primary",
    unless  => "/usr/bin/pdnsutil list-all-zones primary --verbose | /usr/bin/grep -qxF ${title}",
  }

  $signed = "/usr/bin/pdnsutil show-zone ${title} | /usr/bin/grep -q '^ID = '"
  $settle = "/usr/bin/pdnsutil rectify-zone ${title} && /usr/bin/pdns_control purge '${title}\$'"

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
      command => "/usr/bin/pdnsutil import-zone-key ${title} ${keyfile} active ksk published && ${settle}",
      unless  => $signed,
      require => Exec["dns: kind of ${title}"],
    }
  } else {
    exec { "dns: unsign ${title}":
      command => "/usr/bin/pdnsutil disable-dnssec ${title} && ${settle}",
      onlyif  => $signed,
      require => Exec["dns: kind of ${title}"],
    }
  }
}
