# frozen_string_literal: true

describe 'replicator' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) do
    <<~PUPPET
      $role = 'base'
      package { ['dovecot-core', 'dovecot-managesieved']: ensure => installed }
      user { 'vmail': ensure => present }
    PUPPET
  end
  let(:secret) { 'k' * 32 }
  let(:params) { { 'address' => '10.83.0.10', 'peer' => '10.83.0.20', 'password' => sensitive(secret) } }

  def content(path)
    found = catalogue.resource('file', path)[:content]
    found.respond_to?(:unwrap) ? found.unwrap : found
  end

  # A block of Dovecot's, by its first line.
  def block(name)
    content('/etc/dovecot/replicator.conf')[/^#{name} \{\n(.*?)^\}/m, 1]
  end

  it { is_expected.to compile.with_all_deps }

  it 'has Dovecot take syncs in the mesh, and orders on the loopback' do
    expect(block('service doveadm')).to match(/dsync \{\n +listen = 10\.83\.0\.10\n +port = 12346$/)
      .and match(/http \{\n +listen = 127\.0\.0\.1\n +port = 8083$/)
  end

  it 'lets whoever knows the password sync, and do nothing else' do
    expect(content('/etc/dovecot/replicator.conf')).to match(/^doveadm_allowed_commands = sync backup dsync-server user "mailbox status" "mailbox delete" "mailbox list" "mailbox unsubscribe" expunge fetch "sieve list" "sieve get"$/)
  end

  it 'has Dovecot leave a marker for every change, but for those of a sync' do
    expect(content('/etc/dovecot/replicator.conf')).to match(/^mail_plugins \{\n(  \w+ = yes\n){4}\}/)
    expect(block('protocol doveadm').scan(/\w+ = \w+/)).to all(end_with('= no')).and have_attributes(size: 4)
    expect(block('push_notification lua')).to include('spool = /var/lib/dovecot/replicator')
  end

  it 'keeps a process ready for each sync that there may be' do
    expect(block('service doveadm')).to include('process_min_avail = 8')
  end

  it 'keeps markers from being read by those who leave them' do
    is_expected.to contain_file('/var/lib/dovecot/replicator')
      .with_owner('replicator').with_group('vmail').with_mode('0730')
  end

  it 'shows the password to nobody' do
    { '/etc/dovecot/replicator.conf' => ['root', '0600'], '/etc/replicator/password' => ['replicator', '0640'] }
      .each do |path, (group, mode)|
        file = catalogue.resource('file', path)
        expect(file.sensitive_parameters).to include(:content)
        expect([file[:owner], file[:group], file[:mode], file[:show_diff]]).to eq(['root', group, mode, false])
      end
    others = catalogue.resources.select { |each| each.type == 'File' && each.sensitive_parameters.empty? }
    expect(others.filter_map { |each| each[:content] }.grep(/#{secret}/)).to be_empty
  end

  it 'tells the service where everything is' do
    expect(JSON.parse(content('/etc/replicator/settings.json'))).to eq(
      'address' => '10.83.0.10', 'peer' => '10.83.0.20', 'dsync_port' => 12_346, 'http_port' => 8083,
      'metrics_port' => 9106, 'spool' => '/var/lib/dovecot/replicator', 'state' => '/var/lib/replicator',
      'parallel' => 8, 'sweep_interval' => 3600, 'empty' => '/run/replicator-empty'
    )
  end

  it 'is nobody, and may change nothing but its spool and what it writes down itself' do
    is_expected.to contain_user('replicator').with_system(true).with_shell('/usr/sbin/nologin')
    expect(content('/etc/systemd/system/replicator.service'))
      .to match(/^User=replicator$/).and match(%r{^ReadWritePaths=/var/lib/dovecot/replicator$})
      .and match(/^StateDirectory=replicator$/).and match(/^ProtectSystem=strict$/).and match(/^CapabilityBoundingSet=$/)
  end

  it 'is there after a boot' do
    is_expected.to contain_service('replicator.service').with_ensure('running').with_enable(true)
    expect(content('/etc/systemd/system/replicator.service')).to match(/^\[Install\]\nWantedBy=multi-user\.target$/)
  end

  it 'starts anew with every change of itself' do
    %w[/usr/local/lib/replicator/replicator /usr/local/sbin/replicator /etc/replicator/settings.json
       /etc/replicator/password].each do |path|
      is_expected.to contain_file(path).that_notifies('Service[replicator.service]')
    end
  end

  context 'with a password that is easily guessed' do
    let(:secret) { 'short' }

    it { is_expected.to compile.and_raise_error(/password/) }
  end

  context 'with a peer that is a name' do
    let(:params) { super().merge('peer' => 'bergen') }

    it { is_expected.to compile.and_raise_error(/peer/) }
  end
end
