# @summary Puppet Server and the fleet's certificate authority.
#
# @param java_args arguments of the JVM
# @param enrolment_key what a new host shows to have its certificate signed
class profile::puppetserver (
  Array[String[1], 1] $java_args,
  Sensitive[String[32]] $enrolment_key,
) {
  include fleet

  $me = fleet::me()
  $conf_d = '/etc/puppet/puppetserver/conf.d'
  $enrolled = $fleet::hosts.filter |$name, $host| { $name in $fleet::enrolled }

  package { ['puppetserver', 'puppet-terminus-puppetdb', 'hiera-eyaml-puppetserver']:
    ensure => installed,
  }

  concat::fragment { 'puppet.conf: server':
    target  => '/etc/puppet/puppet.conf',
    order   => '20',
    content => epp('profile/puppet.conf-server.epp'),
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'puppet',
      mode    => '0644',
      require => Package['puppetserver'],
      before  => Exec['puppetserver: begin to start'],
      notify  => Exec['puppetserver: restart'],
      ;
    '/etc/default/puppetserver':
      content => epp('profile/puppetserver.default.epp', { 'java_args' => $java_args }),
      ;
    "${conf_d}/puppetserver.conf":
      source => 'puppet:///modules/profile/puppetserver/puppetserver.conf',
      ;
    "${conf_d}/webserver.conf":
      source => 'puppet:///modules/profile/puppetserver/webserver.conf',
      ;
    '/etc/puppet/puppetdb.conf':
      source => 'puppet:///modules/profile/puppetserver/puppetdb.conf',
      ;
    '/etc/puppet/routes.yaml':
      source => 'puppet:///modules/profile/puppetserver/routes.yaml',
      ;
    # Who may enrol, read by the policy at each request: nothing to restart.
    '/etc/puppet/enrolment.yaml':
      mode      => '0640',
      show_diff => false,
      notify    => undef,
      content   => Sensitive(stdlib::to_yaml({
            'certnames' => $enrolled.values.map |$host| { $host['certname'] },
            'key'       => $enrolment_key.unwrap,
      })),
      ;
    '/usr/local/sbin/puppet-autosign':
      mode   => '0755',
      source => 'puppet:///modules/profile/puppetserver/autosign.rb',
      notify => undef,
      ;
  }

  # The rest of the rules stays the package's own.
  file_line { 'puppetserver: this host may flush the environment cache':
    path    => "${conf_d}/auth.conf",
    after   => '^    rules: \[',
    line    => join([
        '        {match-request: {path: "/puppet-admin-api/v1/environment-cache",',
        'type: path, method: delete},',
        "allow: \"${me['certname']}\", sort-order: 400, name: \"fleet environment cache\"},",
    ], ' '),
    require => Package['puppetserver'],
    notify  => Exec['puppetserver: restart'],
  }

  # PuppetDB shares the certificate, and is asked as localhost.
  exec { 'puppetserver: certificates':
    command => "/usr/bin/puppetserver ca setup --subject-alt-names localhost,${me['certname']}",
    creates => '/etc/puppet/puppetserver/ca/ca_crt.pem',
    require => [Package['puppetserver'], Concat['/etc/puppet/puppet.conf']],
  }

  profile::clojure_service { 'puppetserver':
    jar       => '/usr/share/puppetserver/puppetserver.jar',
    bootstrap => ['ca.cfg', 'bootstrap.cfg'].map |$file| { "/etc/puppet/puppetserver/services.d/${file}" },
    main      => join([
        '-Djruby.lib=/usr/share/jruby/lib',
        'puppetlabs.trapperkeeper.main',
        "--config ${conf_d}",
        '--bootstrap-config /etc/puppet/puppetserver/services.d',
    ], ' '),
  }

  Concat['/etc/puppet/puppet.conf'] ~> Exec['puppetserver: restart']
  File_line['puppetserver: this host may flush the environment cache'] -> Exec['puppetserver: begin to start']
  Exec['puppetserver: certificates'] -> Exec['puppetserver: begin to start']
  Package['puppet-terminus-puppetdb', 'hiera-eyaml-puppetserver'] -> Exec['puppetserver: begin to start']

  # After a boot, its own agent does not ask before there is somebody to answer.
  profile::systemd::dropin { 'puppet-run.service':
    content => "[Unit]\nAfter=puppetserver.service\n",
  }

  profile::firewall::allow { 'puppetserver':
    ports => [8140],
    from  => 'fleet',
  }
}
