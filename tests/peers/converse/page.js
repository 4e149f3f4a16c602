// What the script calls in the page: `logIn`; `api` is Converse's own, as its plugins have it.
import converse from '/dist/converse.min.js';

converse.plugins.add('test', {
  initialize() {
    window.api = this._converse.api;
  },
});

window.logIn = ({ websocket, jid, password, service }) => converse.initialize({
  authentication: 'login', auto_login: true, jid: `${jid}/converse`, password, websocket_url: websocket, discover_connection_methods: false,
  view_mode: 'fullscreen', assets_path: '/dist/', whitelisted_plugins: ['test'], theme: 'default', i18n: 'en', persistent_store: 'sessionStorage',
  muc_domain: service, blacklisted_plugins: ['converse-omemo'], auto_register_muc_nickname: false, show_desktop_notifications: false, play_sounds: false, allow_url_history_change: false,
  loglevel: 'warn',
});
