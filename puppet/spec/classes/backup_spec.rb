# frozen_string_literal: true

describe 'profile::backup' do
  let(:pre_condition) { "$role = 'base'" }
  let(:key) { "ssh-ed25519 #{'A' * 68}" }

  include_context 'with a host', 'oslo'

  it 'lets nobody in as long as nobody sends anything' do
    is_expected.to contain_file('/srv/backup/.ssh/authorized_keys')
      .with_owner('root').with_mode('0640').with_content("# Managed by Puppet.\n")
  end

  it 'keeps what is sent from everybody else' do
    is_expected.to contain_file('/srv/backup')
      .with_ensure('directory').with_owner('restic').with_mode('0700')
    is_expected.to contain_user('restic').with_shell('/usr/sbin/nologin').with_password('*')
  end

  context 'with a host that sends' do
    let(:params) { { 'clients' => { 'bergen' => key } } }

    it 'takes files from that host, and does nothing else for it' do
      is_expected.to contain_file('/srv/backup/.ssh/authorized_keys')
        .with_content(/^restrict,from="[0-9.]+,[0-9a-f:]+",command="internal-sftp" #{key} bergen$/)
    end
  end

  context 'with something else than a key' do
    let(:params) { { 'clients' => { 'bergen' => "#{key}\nssh-ed25519 AAAA" } } }

    it { is_expected.to compile.and_raise_error(/clients/) }
  end
end
