# @summary Probes from outside: what is served is asked for on every address that serves it.
#
# @param page a label of the domain, and a path there, that answers 200
# @param authority root certificates, PEM, of whoever certifies sites and mail
class profile::monitoring::probes (
  Struct[{ label => Profile::Web::Label, path => Stdlib::Unixpath }] $page,
  Optional[String[1]] $authority = undef,
) {
  include fleet

  $etc = '/etc/prometheus'
  $roots = $authority ? {
    undef   => {},
    default => { 'ca_file' => "${etc}/authority.pem" },
  }
  $site = profile::web::fqdn($page['label'])
  $mail = "mail.${fleet::domain}"
  $hello = "EHLO ${trusted['certname']}\r"
  $tls_of_mail = { 'server_name' => $mail } + $roots

  $modules = {
    'dns'       => {
      'prober' => 'dns',
      'dns'    => { 'query_name' => $fleet::domain, 'query_type' => 'SOA', 'valid_rcodes' => ['NOERROR'] },
    },
    'web'       => {
      'prober' => 'http',
      'http'   => {
        'headers'             => { 'Host' => $site },
        'fail_if_not_ssl'     => true,
        'valid_status_codes'  => [200],
        'follow_redirects'    => false,
        'tls_config'          => { 'server_name' => $site } + $roots,
      },
    },
    'smtp'      => {
      'prober' => 'tcp',
      'tcp'    => {
        'tls_config'     => $tls_of_mail,
        'query_response' => [
          { 'expect' => '^220 .* ESMTP' },
          { 'send' => $hello },
          { 'expect' => '^250[- ]STARTTLS' },
          { 'send' => "STARTTLS\r" },
          { 'expect' => '^220' },
          { 'starttls' => true },
          { 'send' => $hello },
          { 'expect' => '^250[- ]' },
          { 'send' => "QUIT\r" },
        ],
      },
    },
    'imap'      => {
      'prober' => 'tcp',
      'tcp'    => {
        'tls'            => true,
        'tls_config'     => $tls_of_mail,
        'query_response' => [{ 'expect' => '^\* OK' }, { 'send' => "a LOGOUT\r" }],
      },
    },
    'ssh'       => {
      'prober' => 'tcp',
      'tcp'    => { 'query_response' => [{ 'expect' => '^SSH-2.0-' }] },
    },
    'dashboard' => {
      'prober' => 'tcp',
      'tcp'    => {
        'tls'        => true,
        'tls_config' => { 'server_name' => $trusted['certname'], 'ca_file' => "${etc}/puppet-ca.pem" },
      },
    },
  }

  # Module -> [what it is part of, hosts, what comes before and after the address].
  $asked = {
    'dns'       => [fleet::serving('dns'), '', ':53'],
    'web'       => [fleet::serving('web'), 'https://', $page['path']],
    'smtp'      => [fleet::serving('mail'), '', ':25'],
    'imap'      => [fleet::serving('mail'), '', ':993'],
    'ssh'       => [$fleet::enrolled, '', ':22'],
    'dashboard' => [[$trusted['hostname']], '', ':443'],
  }
  $targets = $asked.map |$module, $it| {
    $it[0].map |$name| {
      { 'ipv4' => $fleet::hosts[$name]['v4'], 'ipv6' => "[${fleet::hosts[$name]['v6']}]" }.map |$family, $address| {
        {
          'targets' => ["${it[1]}${address}${it[2]}"],
          'labels'  => {
            '__param_module' => $module,
            'service'        => $module,
            'instance'       => $name,
            'family'         => $family,
          },
        }
      }
    }
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      ;
    "${etc}/blackbox.yml":
      content      => stdlib::to_yaml({ 'modules' => Hash($modules.map |$name, $it| { [$name, { 'timeout' => '5s' } + $it] }) }),
      validate_cmd => '/usr/bin/prometheus-blackbox-exporter --config.check --config.file=%',
      require      => [Package['prometheus-blackbox-exporter'], File["${etc}/authority.pem", "${etc}/puppet-ca.pem"]],
      notify       => Service['prometheus-blackbox-exporter.service'],
      ;
    "${etc}/authority.pem":
      content => pick($authority, "# The system's.\n"),
      require => Package['prometheus-blackbox-exporter'],
      ;
    "${etc}/puppet-ca.pem":
      source  => '/var/lib/puppet/ssl/certs/ca.pem',
      require => Package['prometheus-blackbox-exporter'],
      ;
    # Prometheus reads it again by itself.
    "${etc}/probes.json":
      content => stdlib::to_json_pretty($targets.flatten),
      require => Package['prometheus'],
      before  => Service['prometheus.service'],
      ;
  }

  profile::monitoring::daemon { 'prometheus-blackbox-exporter':
    arguments => [
      '--config.file=/etc/prometheus/blackbox.yml',
      '--web.listen-address=127.0.0.1:9115',
      '--history.limit=10',
      # Each probe that fails says so at its usual level, four times a minute; the metrics say it too.
      '--log.level=warn',
    ],
  }
}
