# @summary Pictures of the fleet and of each host, beside Puppetboard and behind the same password.
#
# Pages of ours, drawn by Debian's dygraphs from what Prometheus answers. Prometheus' and
# Alertmanager's own pages are there as well.
class profile::monitoring::pictures {
  include fleet
  include profile::puppetboard

  $home = '/usr/local/share/fleet-pictures'

  package { 'libjs-dygraphs':
    ensure          => installed,
    install_options => ['--no-install-recommends'],
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      ;
    $home:
      ensure  => directory,
      mode    => '0755',
      recurse => true,
      purge   => true,
      source  => 'puppet:///modules/profile/monitoring/pictures',
      ;
    "${home}/fleet.json":
      content => stdlib::to_json_pretty({
          'domain'  => $fleet::domain,
          'site'    => $fleet::site,
          'hosts'   => $fleet::enrolled,
          'roles'   => Hash($fleet::enrolled.map |$name| { [$name, $fleet::hosts[$name]['role']] }),
          'serving' => {
            'dns'  => fleet::serving('dns'),
            'web'  => fleet::serving('web'),
            'mail' => fleet::serving('mail'),
          },
      }),
      ;
    '/etc/nginx/dashboard.d/pictures.conf':
      source  => 'puppet:///modules/profile/monitoring/pictures-nginx.conf',
      require => [Package['libjs-dygraphs'], File[$home]],
      notify  => Service['nginx.service'],
      ;
  }
}
