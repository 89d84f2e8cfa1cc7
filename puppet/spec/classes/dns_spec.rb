# frozen_string_literal: true

describe 'profile::dns' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base'" }
  let(:zone) { 'nordlys.example' }
  let(:zones) { {} }
  let(:params) { { 'zones' => zones } }

  content = {
    'soa' => {
      'mname' => 'ns-oslo.nordlys.example.', 'rname' => 'hostmaster.nordlys.example.',
      'serial' => 2_026_112_201, 'refresh' => 14_400, 'retry' => 3600, 'expire' => 604_800,
      'minimum' => 300, 'ttl' => 86_400
    },
    'records' => [
      { 'name' => '@', 'ttl' => 86_400, 'type' => 'NS', 'values' => ['ns-oslo.nordlys.example.'] },
      { 'name' => 'www', 'ttl' => 30, 'type' => 'A', 'values' => ['198.18.10.10', '198.18.20.20'] },
    ],
  }
  key = "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: AAAA\n"

  context 'before the stage gives it a zone' do
    it { is_expected.not_to contain_package('pdns-server') }
    it { is_expected.not_to contain_profile__firewall__allow('dns') }
  end

  context 'as a secondary' do
    let(:params) do
      {
        'zones' => {
          zone => {
            'kind' => 'secondary', 'primaries' => ['198.18.20.20', 'fd18:0:20::20'],
            'transfer_key' => 'cutover'
          },
        },
        'servers' => {},
        'transfer_secrets' => sensitive({ 'cutover' => 'c2VjcmV0' }),
      }
    end

    it { is_expected.to compile.with_all_deps }

    it 'serves everybody, over both transports' do
      is_expected.to contain_profile__firewall__allow('dns').with_ports([53]).with_protocols(%w[tcp udp])
    end

    it 'gives whole zones to itself alone' do
      is_expected.to contain_file('/etc/powerdns/pdns.conf')
        .with_content(%r{^allow-axfr-ips=127\.0\.0\.0/8,::1$})
    end

    it 'copies from both addresses of the primary' do
      is_expected.to contain_exec("dns: create #{zone}")
        .with_command("/usr/bin/pdnsutil create-secondary-zone #{zone} 198.18.20.20 fd18:0:20::20")
      is_expected.to contain_exec("dns: primaries of #{zone}")
        .with_unless(/'Primaries: 198\.18\.20\.20:53 \[fd18:0:20::20\]:53 '\z/)
    end

    it 'copies at once whenever it became, or becomes, something else than it was' do
      ['create', 'primaries of', 'AXFR-MASTER-TSIG of', 'LUA-AXFR-SCRIPT of', 'unsign', 'kind of'].each do |change|
        is_expected.to contain_exec("dns: #{change} #{zone}").that_notifies("Exec[dns: fetch #{zone}]")
      end
    end

    it 'copies signatures with the rest, and gives the zone to nobody' do
      is_expected.to contain_profile__dns__metadata("LUA-AXFR-SCRIPT of #{zone}").with_values([])
      is_expected.to contain_profile__dns__metadata("TSIG-ALLOW-AXFR of #{zone}").with_values([])
      is_expected.to contain_exec("dns: AXFR-MASTER-TSIG of #{zone}")
        .with_unless(/ \| .*grep -qxF 'AXFR-MASTER-TSIG = cutover'\z/)
    end

    it 'shows the key of the transfer to nobody' do
      file = catalogue.resource('file', '/etc/powerdns/keys/cutover.transfer')
      expect(file.sensitive_parameters).to include(:content)
      expect(file[:mode]).to eq('0600')
      catalogue.resources.select { |each| each.type == 'Exec' }.each do |exec|
        expect(exec.to_hash.values.join).not_to include('c2VjcmV0')
      end
    end
  end

  context 'as the primary' do
    let(:limit) { {} }
    let(:signed) { false }
    let(:params) do
      {
        'zones' => { zone => { 'kind' => 'primary', 'signed' => signed } },
        'servers' => {},
        'content' => { zone => content },
        'zone_secrets' => sensitive({ zone => key }),
      }.merge(limit)
    end
    let(:text) { catalogue.resource('file', "/etc/powerdns/zones/#{zone}.zone")[:content] }

    it { is_expected.to compile.with_all_deps }

    it 'writes one line for each record' do
      expect(text.lines.map(&:chomp)).to eq([
        '; Managed by Puppet.',
        '$ORIGIN nordlys.example.',
        '@ 86400 IN SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 2026112201 14400 3600 604800 300',
        '@ 86400 IN NS ns-oslo.nordlys.example.',
        'www 30 IN A 198.18.10.10',
        'www 30 IN A 198.18.20.20',
      ])
    end

    it 'loads what differs, and only that' do
      is_expected.to contain_exec("dns: load #{zone}")
        .that_requires('Service[nftables.service]')
        .with_command("/usr/local/sbin/pdns-zone load #{zone} /etc/powerdns/zones/#{zone}.zone")
        .with_unless("/usr/local/sbin/pdns-zone loaded #{zone} /etc/powerdns/zones/#{zone}.zone")
    end

    it 'is alone until somebody says otherwise' do
      is_expected.to contain_file('/etc/powerdns/peers').with_content('')
      is_expected.not_to contain_exec("dns: tell of #{zone}")
      ['TSIG-ALLOW-AXFR', 'ALSO-NOTIFY', 'AXFR-MASTER-TSIG', 'LUA-AXFR-SCRIPT'].each do |setting|
        is_expected.to contain_profile__dns__metadata("#{setting} of #{zone}").with_values([])
        is_expected.to contain_exec("dns: #{setting} of #{zone}").with_onlyif(/'\^#{setting} = \.'\z/)
      end
    end

    it 'answers the world when zones and checks are of today, and sees to that every minute' do
      dropin = catalogue.resource('file', '/etc/systemd/system/pdns.service.d/fleet.conf')[:content]
      expect(dropin).to match(%r{^ExecStartPre=.*closed\.nft\nExecStartPost=-.*dns-ready --wait\nExecStartPost=.*dns-ready --open\n})
      is_expected.to contain_profile__systemd__dropin('pdns.service').that_comes_before('Package[pdns-server]')
      is_expected.to contain_service('dns-ready.timer').with_ensure('running')
      is_expected.to contain_exec('dns: open to the world')
        .with_command('/usr/local/sbin/dns-ready --wait --open')
        .with_onlyif('/usr/sbin/nft list table inet dns_closed')
        .that_requires("Profile::Dns::Primary[#{zone}]")
      is_expected.to contain_file('/etc/powerdns/pdns.conf').with_content(/^enable-lua-records=yes$/)
    end

    it 'takes a signature away when there should be none' do
      is_expected.to contain_exec("dns: unsign #{zone}").with_onlyif(/show-zone #{zone}/)
      is_expected.not_to contain_file("/etc/powerdns/keys/#{zone}.private")
    end

    context 'while a change may have to be undone' do
      let(:limit) { { 'ttl_limit' => 60 } }

      it 'lets nothing be remembered for longer' do
        expect(text).to include(' 604800 60').and include('@ 60 IN NS').and include('www 30 IN A')
      end
    end

    context 'signed' do
      let(:signed) { true }

      it 'signs when the content is there' do
        is_expected.to contain_exec("dns: sign #{zone}").that_requires("Exec[dns: load #{zone}]")
      end

      it 'shows the key to nobody' do
        file = catalogue.resource('file', "/etc/powerdns/keys/#{zone}.private")
        expect(file.sensitive_parameters).to include(:content)
        expect(file[:mode]).to eq('0600')
      end
    end
  end

  context 'when several hosts serve the zones' do
    let(:servers) { { 'oslo' => 'primary', 'bergen' => 'secondary' } }
    let(:params) do
      {
        'zones' => { zone => { 'kind' => 'primary', 'signed' => true }, 'old.example' => { 'kind' => 'absent' } },
        'servers' => servers,
        'content' => { zone => content },
        'zone_secrets' => sensitive({ zone => key }),
        'transfer_secrets' => sensitive({ 'mesh' => 'c2VjcmV0' }),
      }
    end
    shared = {
      'TSIG-ALLOW-AXFR' => ['mesh'],
      'AXFR-MASTER-TSIG' => ['mesh'],
      'LUA-AXFR-SCRIPT' => ['/etc/powerdns/live-signing.lua'],
    }

    { 'oslo' => '10.83.0.20', 'bergen' => '10.83.0.10' }.each do |host, peer|
      context "on #{host}" do
        include_context 'with a host', host

        it { is_expected.to compile.with_all_deps }

        it 'is ready to change places with the other one, which it knows by its private address' do
          shared.merge('ALSO-NOTIFY' => [peer]).each do |setting, values|
            is_expected.to contain_profile__dns__metadata("#{setting} of #{zone}").with_values(values)
          end
          is_expected.to contain_file('/etc/powerdns/peers').with_content("#{peer}\n")
          is_expected.to contain_file("/etc/powerdns/keys/#{zone}.private").with_mode('0600')
          is_expected.to contain_exec("dns: sign #{zone}")
          is_expected.to contain_exec('dns: remove old.example')
        end
      end
    end

    context 'on the primary' do
      include_context 'with a host', 'oslo'

      it 'tells the other one at once' do
        is_expected.to contain_exec("dns: tell of #{zone}")
          .with_command("/usr/bin/pdns_control notify #{zone}")
          .that_subscribes_to(["Exec[dns: load #{zone}]", "Exec[dns: kind of #{zone}]"])
      end
    end

    context 'on the secondary' do
      include_context 'with a host', 'bergen'

      it 'copies what the primary has, and has no content of its own' do
        is_expected.to contain_exec("dns: create #{zone}").with_command(/ #{zone} 10\.83\.0\.10\z/)
        is_expected.to contain_exec("dns: primaries of #{zone}").with_unless(/'Primary: 10\.83\.0\.10:53 '\z/)
        is_expected.not_to contain_file("/etc/powerdns/zones/#{zone}.zone")
      end

      it 'has the key before the zone comes' do
        is_expected.to contain_exec("dns: sign #{zone}").that_comes_before("Exec[dns: fetch #{zone}]")
      end
    end

    context 'on a host that has nothing to do with them' do
      include_context 'with a host', 'tromso'

      it { is_expected.not_to contain_package('pdns-server') }
    end

    context 'on one that was a secondary' do
      include_context 'with a host', 'bergen'
      let(:servers) { { 'oslo' => 'primary', 'bergen' => 'absent' } }

      it { is_expected.to contain_exec("dns: remove #{zone}") }
      it { is_expected.to contain_file('/etc/powerdns/peers').with_content("10.83.0.10\n") }
    end

    [{ 'oslo' => 'primary', 'bergen' => 'primary' }, { 'bergen' => 'secondary' }].each do |wrong|
      context "with #{wrong.values.join(' and ')}" do
        include_context 'with a host', 'oslo'
        let(:servers) { wrong }

        it { is_expected.to compile.and_raise_error(/one host is the primary/) }
      end
    end
  end

  context 'with a zone that is gone' do
    let(:zones) { { zone => { 'kind' => 'absent' } } }

    it { is_expected.to contain_exec("dns: remove #{zone}").with_onlyif("/usr/bin/pdnsutil show-zone #{zone}") }
  end

  context 'with a zone that says half of what it must' do
    let(:zones) { { zone => { 'kind' => 'secondary' } } }

    it { is_expected.to compile.and_raise_error(/primaries/) }
  end
end
