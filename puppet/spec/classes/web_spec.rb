# frozen_string_literal: true

describe 'profile::web' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base'" }
  let(:served) { [] }
  let(:more) { {} }
  let(:params) { { 'served' => served, 'sites' => sites, 'hosts' => [], 'max_age' => 0 }.merge(more) }
  let(:edge) { catalogue.resource('file', '/etc/haproxy/haproxy.cfg')[:content] }

  sites = {
    'blog' => {
      'names' => %w[www web], 'certified' => ['www'], 'not_found' => '/404.html', 'listing' => true,
      'redirects' => { '/node/12' => { 'to' => '/new.html', 'status' => 301 } },
      'gone' => ['/wiki'], 'denied' => ['/privat'], 'max_age' => { '.css' => 3600 }
    },
    'short' => { 'names' => ['@'], 'certified' => ['@'], 'forward' => 'www' },
    'book' => {
      'names' => ['book', '*.customers'], 'default' => true, 'php' => true, 'data' => 'data',
      'denied_suffixes' => ['.old']
    },
  }
  thumbprint = 'A' * 43

  let(:sites) { sites }

  context 'before the stage gives it a site' do
    it { is_expected.not_to contain_package('haproxy') }
    it { is_expected.not_to contain_profile__firewall__allow('web') }
  end

  context 'with its sites' do
    let(:served) { %w[blog short book] }

    it { is_expected.to compile.with_all_deps }

    it 'is there for everybody' do
      is_expected.to contain_profile__firewall__allow('web').with_ports([80, 443]).with_from('anywhere')
    end

    it 'lets nobody past the edge' do
      %w[blog short book].each do |name|
        is_expected.to contain_file("/etc/nginx/sites-enabled/#{name}")
          .with_content(/^    listen 127\.0\.0\.1:8080/).without_content(/listen (?!127)/)
      end
    end

    it "takes the ports only when Debian's own site has left them" do
      is_expected.to contain_exec('web: nginx leaves the edge')
        .that_requires('Class[profile::nginx]').that_comes_before('File[/etc/haproxy/haproxy.cfg]')
    end

    it 'knows each name, and whose every other is' do
      is_expected.to contain_file('/etc/haproxy/sites.map')
        .with_content("www.nordlys.example blog\nweb.nordlys.example blog\n" \
                      "nordlys.example short\nbook.nordlys.example book\n")
      expect(edge).to include('map_str(/etc/haproxy/sites.map,book)')
    end

    it 'speaks no TLS older than 1.2' do
      expect(edge).to include('ssl-min-ver TLSv1.2').and include('alpn h2,http/1.1')
    end

    it 'serves whoever is being served to the end' do
      is_expected.to contain_file('/etc/systemd/system/haproxy.service.d/fleet.conf')
        .with_content(/^KillSignal=SIGUSR1$/).with_content(/^TimeoutStopSec=/)
      is_expected.to contain_service('haproxy.service').with_restart(/ reload /)
    end

    it 'leaves it to the operator where the programs of a site run' do
      is_expected.to contain_file('/var/lib/fleet-web/origins.map').with_replace(false)
    end

    it 'sends what may have arrived to nobody else' do
      expect(edge).to match(/^    retry-on conn-failure$/)
    end

    it 'answers as the data says' do
      is_expected.to contain_file('/etc/nginx/sites-enabled/blog')
        .with_content(%r{location = /node/12 \{\n        return 301 /new\.html;})
        .with_content(%r{location ~ \^/wiki\(/\|\$\) \{\n        return 410;})
        .with_content(%r{location ~ \^/privat\(/\|\$\) \{\n        deny all;})
        .with_content(/location ~ \\.css\$ \{\n        add_header Cache-Control max-age=3600;/)
        .with_content(%r{error_page 404 /404\.html;})
      is_expected.to contain_file('/etc/nginx/sites-enabled/short')
        .with_content(%r{return 301 \$http_x_forwarded_proto://www\.nordlys\.example\$request_uri;})
    end

    it 'runs the programs of a site as a user of its own' do
      is_expected.to contain_user('web-book').with_shell('/usr/sbin/nologin')
      is_expected.to contain_file('/etc/php/8.4/fpm/pool.d/book.conf').with_content(/^user = web-book$/)
      is_expected.to contain_file('/etc/nginx/sites-enabled/blog').without_content(/fastcgi/)
    end

    it 'tells no browser to remember HTTPS yet' do
      expect(edge).not_to include('Strict-Transport-Security')
    end

    context 'with an authority' do
      let(:more) do
        {
          'acme' => { 'directory' => 'https://ca.example/dir', 'thumbprint' => thumbprint },
          'account_key' => sensitive("a key\n"),
          'max_age' => 63_072_000,
        }
      end

      it 'answers every challenge without knowing it' do
        expect(edge).to include(%(lf-string "%[path,field(-1,/)].#{thumbprint}" if challenge))
      end

      it 'asks for one certificate a site' do
        is_expected.to contain_file('/etc/dehydrated/domains.txt')
          .with_content(/\Awww\.nordlys\.example > blog\nnordlys\.example > short\n/)
      end

      it 'asks for them with the key that all hosts have, and shows it to nobody' do
        path = '/var/lib/dehydrated/https-ca-example-dir.pem'
        file = catalogue.resource('file', path)
        expect(file.sensitive_parameters).to include(:content)
        expect(file[:mode]).to eq('0600')
        is_expected.to contain_profile__systemd__unit('web-certificates.service')
          .with_content(%r{^ExecStart=/usr/local/sbin/web-certificates #{path}$})
      end

      it 'tells browsers to remember HTTPS, over HTTPS' do
        expect(edge).to include('max-age=63072000 if { var(txn.secure) -m bool }')
      end
    end

    context 'with a server that the sites come from' do
      let(:more) do
        {
          'passage' => { 'peers' => ['198.18.20.20', 'fd18:0:20::20'], 'certificate' => "a certificate\n" },
          'passage_key' => sensitive("a key\n"),
        }
      end

      it 'lets that one in by a door of its own' do
        is_expected.to contain_profile__firewall__allow('passage')
          .with_ports([8443]).with_from(['198.18.20.20', 'fd18:0:20::20'])
      end

      it 'believes that one, and nobody else, where a visitor comes from' do
        expect(edge).to include('http-request del-header X-Forwarded-For unless passed')
      end

      it 'can ask it for what has not moved' do
        expect(edge)
          .to match(/^backend book-there\n.*\n    server old0 198\.18\.20\.20:80\n    server old1 .*:80 backup$/)
          .and match(/^    server old0 198\.18\.20\.20:443 ssl verify required .* sni str\(www\.nordlys\.example\)$/)
      end

      it 'shows the key of the passage to nobody' do
        file = catalogue.resource('file', '/etc/haproxy/passage.pem')
        expect(file.sensitive_parameters).to include(:content)
        expect(file[:mode]).to eq('0600')
      end
    end

    it 'tells those who ask whether names may lead here, and that a drained host does not want them' do
      is_expected.to contain_file('/var/lib/fleet/drain.map').with_replace(false)
      expect(edge).to match(/return status 503 .* if healthz .*drain\.map/)
        .and match(/return status 200 .* if healthz$/)
    end

    it 'stands alone' do
      expect(edge).not_to match(/httpchk|frontend peers/)
      is_expected.not_to contain_profile__firewall__allow('web for peers')
      is_expected.not_to contain_package('syncthing')
    end

    context 'with another host that serves them as well' do
      let(:sites) { sites.merge('book' => sites['book'].merge('appended' => ['entries.txt'])) }
      let(:more) do
        {
          'hosts' => %w[oslo bergen],
          'replicas' => {
            'oslo' => { 'device' => device('A'), 'certificate' => "of Oslo\n" },
            'bergen' => { 'device' => device('B'), 'certificate' => "of Bergen\n" },
          },
          'replica_key' => sensitive("a key\n"),
        }
      end
      let(:replica) { catalogue.resource('file', '/etc/web-replica/book/config.xml')[:content] }

      def device(letter)
        ([letter * 7] * 8).join('-')
      end

      it { is_expected.to compile.with_all_deps }

      it 'goes there when its own nginx does not answer, and what may have arrived goes nowhere twice' do
        expect(edge)
          .to match(/^    server nginx 127\.0\.0\.1:8080 check inter 1s fall 2 rise 2 /)
          .and match(/^    server bergen 10\.83\.0\.20:8081 check inter 1s fall 2 rise 2 backup$/)
          .and match(/^    http-request disable-l7-retry unless METH_GET$/)
      end

      it 'is there for that host, which comes through the mesh, with its own nginx and no other' do
        is_expected.to contain_profile__firewall__allow('web for peers')
          .with_ports([8081]).with_from({ 'mesh' => ['bergen'] })
        expect(edge).to match(/^    bind 10\.83\.0\.10:8081 transparent$/)
          .and match(/^backend book-own\n    server nginx 127\.0\.0\.1:8080\n\n/)
      end

      it 'is well while somebody serves the site' do
        expect(edge).to include("acl served-book srv_is_up(book-here/nginx)\n    acl served-book srv_is_up(book-here/bergen)")
          .and match(/return status 503 .* if healthz \{ var\(txn\.site\) -m str book \} !served-book$/)
      end

      it 'asks a site that has programs whether there is anybody to run them' do
        is_expected.to contain_file('/etc/php/8.4/fpm/pool.d/book.conf').with_content(%r{^ping\.path = /healthz$})
        is_expected.to contain_file('/etc/nginx/sites-enabled/book')
          .with_content(%r{location = /healthz \{\n.*fastcgi_pass unix:/run/php/book\.sock;}m)
      end

      it 'replicates what its programs write with that host alone' do
        expect(replica).to include('<address>tcp://127.0.0.1:22200</address>')
          .and include('<listenAddress>tcp://127.0.0.1:22100</listenAddress>')
        expect(edge).to match(/^    bind 10\.83\.0\.10:22000 transparent tcp-ut 4s$/)
          .and match(/^    bind 127\.0\.0\.1:22200\n    server bergen 10\.83\.0\.20:22000 tcp-ut 4s$/)
        expect(replica)
          .to include('<gui enabled="false">')
          .and match(/globalAnnounceEnabled>false.*localAnnounceEnabled>false.*relaysEnabled>false.*natEnabled>false/m)
        is_expected.to contain_profile__firewall__allow('web data')
          .with_ports([22_000]).with_from({ 'mesh' => ['bergen'] })
        is_expected.to contain_service('web-replica-book.service')
          .that_subscribes_to('File[/etc/web-replica/book/config.xml]')
        expect(catalogue.resource('file', '/etc/web-replica/book/key.pem').sensitive_parameters).to include(:content)
      end

      it 'exchanges lines where lines are appended' do
        is_expected.to contain_file('/srv/www/book/shared/data/.stignore').with_content("/entries.txt\n")
        is_expected.to contain_profile__systemd__unit('web-lines-book.service')
          .with_content(%r{^ExecStart=/usr/local/sbin/web-lines oslo /srv/www/book/shared/data \S+ entries\.txt$})
          .with_content(/^User=web-book$/).with_content(/^PrivateNetwork=yes$/)
      end
    end
  end

  context 'when others serve the sites' do
    let(:served) { %w[blog short book] }
    let(:more) { { 'hosts' => ['bergen'] } }

    it { is_expected.not_to contain_package('haproxy') }
  end
end

describe 'profile::web' do
  include_context 'with a host', 'bergen'

  let(:pre_condition) { "$role = 'base'" }
  let(:params) { { 'served' => ['blog'], 'sites' => { 'blog' => { 'names' => ['www'] } }, 'max_age' => 0, 'hosts' => [] } }

  context 'on the standby, while production serves alone' do
    it { is_expected.not_to contain_package('haproxy') }
  end
end
