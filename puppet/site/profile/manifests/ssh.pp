# @summary SSH for people and for the operator: by key, and in no other way.
#
# @param authorized_keys public keys that root lets in, lines as in authorized_keys(5); any other
#   key is removed
class profile::ssh (
  Array[Pattern[/\A(ssh|sk-ssh|ecdsa|sk-ecdsa)\S* [A-Za-z0-9+\/]+=*( .*)?\z/], 1] $authorized_keys,
) {
  package { 'openssh-server':
    ensure => installed,
  }

  file {
    default:
      owner   => 'root',
      group   => 'root',
      require => Package['openssh-server'],
      ;
    # The whole file, without an include: nothing put beside it can weaken it.
    '/etc/ssh/sshd_config':
      ensure       => file,
      mode         => '0644',
      source       => 'puppet:///modules/profile/sshd_config',
      validate_cmd => '/usr/sbin/sshd -t -f %',
      notify       => Service['ssh.service'],
      ;
    '/root/.ssh':
      ensure => directory,
      mode   => '0700',
      ;
    '/root/.ssh/authorized_keys':
      ensure  => file,
      mode    => '0600',
      content => "# Managed by Puppet.\n${authorized_keys.join("\n")}\n",
      ;
  }

  service { 'ssh.service':
    ensure  => running,
    enable  => true,
    # Open sessions live on.
    restart => '/usr/bin/systemctl reload ssh.service',
  }

  profile::firewall::allow { 'ssh':
    ports => [22],
  }
}
