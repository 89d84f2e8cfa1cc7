# @summary Certificates, asked for and renewed by this host itself (ACME, HTTP-01).
#
# Every host of the fleet has the same account; HAProxy answers for it without knowing the tokens.
#
# @param sites the sites, with the names that want a certificate
# @param acme who issues them
# @param account_key key of the account, PEM
class profile::web::certificates (
  Hash[Profile::Web::Name, Profile::Web::Description, 1] $sites,
  Profile::Web::Acme $acme,
  Sensitive[String[1]] $account_key,
) {
  include fleet

  $etc = '/etc/dehydrated'
  $state = '/var/lib/dehydrated'
  # dehydrated's own name for an authority: its URL and a line feed, in base64 for file names.
  $account = base64('encode', "${acme['directory']}\n", 'urlsafe').regsubst('[=\n]', '', 'G')
  $certified = $sites.filter |$name, $site| { !pick($site['certified'], []).empty }
  $lines = $certified.map |$name, $site| {
    $names = $site['certified'].map |$label| { profile::web::fqdn($label) }
    "${names.join(' ')} > ${name}\n"
  }

  package { 'dehydrated':
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['dehydrated'],
      ;
    "${etc}/conf.d/fleet.sh":
      content => epp('profile/web/dehydrated.epp', {
          'directory' => $acme['directory'],
          'authority' => $acme['authority'],
          'contact'   => $fleet::contact,
      }),
      ;
    "${etc}/authority.pem":
      content => pick($acme['authority'], "# The system's.\n"),
      ;
    "${etc}/domains.txt":
      content => $lines.join,
      ;
    "${state}/acme-challenges":
      ensure => directory,
      mode   => '0700',
      ;
    ["${state}/accounts", "${state}/accounts/${account}"]:
      ensure => directory,
      mode   => '0700',
      ;
    "${state}/accounts/${account}/account_key.pem":
      mode      => '0600',
      show_diff => false,
      content   => $account_key,
      ;
    '/usr/local/sbin/web-certificate':
      mode   => '0755',
      source => 'puppet:///modules/profile/web/web-certificate',
      ;
  }

  profile::systemd::unit { 'web-certificates.service':
    content => file('profile/web/web-certificates.service'),
  }

  # An authority that could not see this host an hour ago may see it now.
  profile::systemd::unit { 'web-certificates.timer':
    content => file('profile/web/web-certificates.timer'),
  }

  service { 'web-certificates.timer':
    ensure  => running,
    enable  => true,
    require => [
      Profile::Systemd::Unit['web-certificates.service', 'web-certificates.timer'],
      File["${etc}/domains.txt", '/usr/local/sbin/web-certificate'],
    ],
  }
}
