# @summary The control host's own say in what is put in force: evidence, judged once more.
#
# A release is judged by what the release in force has installed here: the program, the list of
# those who may sign, the limit.
#
# @param max_age_days how old what the scenarios have shown may be
class profile::promotion (
  Integer[1, 365] $max_age_days = 14,
) {
  include profile::python3

  $state = '/var/lib/generalprove/promotion'

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      ;
    '/etc/generalprove':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/generalprove/allowed_signers':
      source => 'puppet:///modules/profile/promotion/allowed_signers',
      ;
    '/etc/generalprove/promotion.json':
      content => stdlib::to_json({ 'max_age_days' => $max_age_days }),
      ;
    '/usr/local/sbin/generalprove-accept':
      mode    => '0755',
      source  => 'puppet:///modules/profile/promotion/accept.py',
      require => Package['python3'],
      ;
    # Written by the operator, and read by nobody else.
    [$state, "${state}/evidence"]:
      ensure  => directory,
      group   => 'puppet',
      mode    => '0750',
      require => Package['puppetserver'],
      ;
  }
}
