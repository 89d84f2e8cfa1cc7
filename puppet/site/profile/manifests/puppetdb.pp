# @summary PuppetDB: what every host is like, what was changed when, and whether it worked.
#
# It listens on this host alone; who asks shows a certificate that is on its list.
#
# @param java_args arguments of the JVM
# @param readers certnames that may ask beside this host's own
# @param report_ttl how long reports are kept, in PuppetDB's notation
# @param node_purge_ttl how long a host is kept that is no longer heard of
class profile::puppetdb (
  Array[String[1], 1] $java_args,
  Array[Stdlib::Fqdn] $readers,
  Pattern[/\A\d+[dhm]\z/] $report_ttl,
  Pattern[/\A\d+[dhm]\z/] $node_purge_ttl,
) {
  include profile::postgresql
  include profile::puppetserver

  $certname = fleet::me()['certname']
  $ssldir = '/var/lib/puppet/ssl'

  # Its installation makes the database; curl is how the operator asks.
  package { ['puppetdb', 'curl']:
    ensure  => installed,
    require => Class['profile::postgresql'],
  }

  # Who may read this host's key, which is PuppetDB's as well.
  user { 'puppetdb':
    groups  => ['puppet'],
    require => Package['puppetdb', 'puppetserver'],
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['puppetdb'],
      before  => Exec['puppetdb: begin to start'],
      notify  => Exec['puppetdb: restart'],
      ;
    '/etc/default/puppetdb':
      content => "# Managed by Puppet.\nJAVA_ARGS=\"${java_args.join(' ')}\"\n",
      ;
    '/etc/puppetdb/certificate-allowlist':
      content => "${[$certname, *$readers].join("\n")}\n",
      ;
    '/etc/puppetdb/conf.d/jetty.ini':
      content => epp('profile/puppetdb-jetty.ini.epp', {
          'ssldir'   => $ssldir,
          'certname' => $certname,
      }),
      ;
    # Beside the files of the package, which are merged with it: one of them has the password.
    '/etc/puppetdb/conf.d/fleet.ini':
      content => epp('profile/puppetdb.ini.epp', {
          'report_ttl'     => $report_ttl,
          'node_purge_ttl' => $node_purge_ttl,
      }),
      ;
  }

  profile::clojure_service { 'puppetdb':
    jar        => '/usr/share/puppetdb/puppetdb.jar',
    bootstrap  => ['/etc/puppetdb/bootstrap.cfg'],
    namespaces => ['puppetlabs.puppetdb.core', 'puppetlabs.puppetdb.cli.services'],
    main       => join([
        'clojure.main -m puppetlabs.puppetdb.core services',
        '--config /etc/puppetdb/conf.d',
        '--bootstrap-config /etc/puppetdb/bootstrap.cfg',
    ], ' '),
  }

  # Its certificate is there before Puppet Server is, so that both compile side by side; the
  # rest is installed meanwhile.
  Exec['puppetserver: begin to start'] -> Class['profile::postgresql']
  User['puppetdb'] -> Exec['puppetdb: begin to start'] -> Service['puppetserver.service']
}
