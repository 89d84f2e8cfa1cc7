# @summary A key that signs zone transfers (RFC 8945).
#
# @param secret the key in base64
define profile::dns::transfer_key (
  Sensitive[Stdlib::Base64] $secret,
) {
  $file = "/etc/powerdns/keys/${title}.transfer"

  file { $file:
    ensure    => file,
    owner     => 'root',
    group     => 'root',
    mode      => '0600',
    show_diff => false,
    content   => $secret,
  }

  # The secret comes from the file, so that neither a report nor a log shows it.
  exec { "dns: transfer key ${title}":
    command  => "/usr/bin/pdnsutil import-tsig-key ${title} hmac-sha256 \"\$(cat ${file})\"",
    unless   => "/usr/bin/pdnsutil list-tsig-keys | grep -qxF \"${title}. hmac-sha256. \$(cat ${file})\"",
    provider => shell,
    require  => [Class['profile::dns::server'], File[$file]],
  }
}
