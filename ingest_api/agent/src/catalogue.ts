// Generated from schemas/catalogue.toml and schemas/log_codes.toml by `make docs`; do not edit.

/** Families behind each other, each as `family name name ...`; the order is that of the wire. */
function names(table: string): readonly string[] {
  return table.split("|").flatMap((line) => {
    const [family, ...members] = line.split(" ");
    return members.map((member) => `${family}.${member}`);
  });
}


export const CATALOGUE_VERSION = 2;

export const NUMBERS = names(
  "navigator hardware_concurrency device_memory max_touch_points plugins_count mime_types_count languages_count history_length connection_downlink connection_rtt properties_count|" +
  "client_hints brand_version brands_count|" +
  "screen width height avail_width avail_height color_depth pixel_depth device_pixel_ratio inner_width inner_height outer_width outer_height window_x window_y orientation_angle viewport_scale|" +
  "intl timezone_offset timezone_offset_january timezone_offset_july clock_drift|" +
  "webgl max_texture_size max_cube_map_texture_size max_render_buffer_size max_viewport_width max_viewport_height max_vertex_attribs max_vertex_uniform_vectors max_fragment_uniform_vectors max_varying_vectors max_combined_texture_units aliased_line_width_max aliased_point_size_max max_anisotropy max_samples depth_bits stencil_bits extensions_count|" +
  "canvas pixel_differences readback_errors draw_time|" +
  "audio sample_sum sample_rate base_latency max_channels noise|" +
  "fonts count width_default width_serif width_sans width_mono width_system|" +
  "media audio_inputs audio_outputs video_inputs voices_count|" +
  "css monochrome_bits|" +
  "storage quota usage heap_limit|" +
  "battery level|" +
  "timing resolution collection page_age error_stack_depth eval_length|" +
  "worker hardware_concurrency device_memory timezone_offset|" +
  "frame hardware_concurrency screen_width|" +
  "page scroll_height|" +
  "webgl_parameter SUBPIXEL_BITS RED_BITS GREEN_BITS BLUE_BITS ALPHA_BITS DEPTH_BITS STENCIL_BITS SAMPLES SAMPLE_BUFFERS MAX_TEXTURE_SIZE MAX_CUBE_MAP_TEXTURE_SIZE MAX_RENDERBUFFER_SIZE MAX_VIEWPORT_DIMS MAX_VERTEX_ATTRIBS MAX_VERTEX_UNIFORM_VECTORS MAX_VERTEX_TEXTURE_IMAGE_UNITS MAX_VARYING_VECTORS MAX_TEXTURE_IMAGE_UNITS MAX_COMBINED_TEXTURE_IMAGE_UNITS MAX_FRAGMENT_UNIFORM_VECTORS ALIASED_LINE_WIDTH_RANGE ALIASED_POINT_SIZE_RANGE IMPLEMENTATION_COLOR_READ_TYPE IMPLEMENTATION_COLOR_READ_FORMAT|" +
  "webgl2_parameter SUBPIXEL_BITS SAMPLES MAX_TEXTURE_SIZE MAX_CUBE_MAP_TEXTURE_SIZE MAX_RENDERBUFFER_SIZE MAX_VIEWPORT_DIMS MAX_VERTEX_ATTRIBS MAX_VERTEX_UNIFORM_VECTORS MAX_VERTEX_TEXTURE_IMAGE_UNITS MAX_VARYING_VECTORS MAX_TEXTURE_IMAGE_UNITS MAX_COMBINED_TEXTURE_IMAGE_UNITS MAX_FRAGMENT_UNIFORM_VECTORS MAX_3D_TEXTURE_SIZE MAX_ARRAY_TEXTURE_LAYERS MAX_ELEMENTS_VERTICES MAX_ELEMENTS_INDICES MAX_ELEMENT_INDEX MAX_TEXTURE_LOD_BIAS MAX_DRAW_BUFFERS MAX_COLOR_ATTACHMENTS MAX_SAMPLES MAX_FRAGMENT_UNIFORM_COMPONENTS MAX_VERTEX_UNIFORM_COMPONENTS MAX_VARYING_COMPONENTS MAX_VERTEX_OUTPUT_COMPONENTS MAX_FRAGMENT_INPUT_COMPONENTS MIN_PROGRAM_TEXEL_OFFSET MAX_PROGRAM_TEXEL_OFFSET MAX_TRANSFORM_FEEDBACK_INTERLEAVED_COMPONENTS MAX_TRANSFORM_FEEDBACK_SEPARATE_ATTRIBS MAX_TRANSFORM_FEEDBACK_SEPARATE_COMPONENTS MAX_VERTEX_UNIFORM_BLOCKS MAX_FRAGMENT_UNIFORM_BLOCKS MAX_COMBINED_UNIFORM_BLOCKS MAX_UNIFORM_BUFFER_BINDINGS MAX_UNIFORM_BLOCK_SIZE UNIFORM_BUFFER_OFFSET_ALIGNMENT MAX_COMBINED_VERTEX_UNIFORM_COMPONENTS MAX_COMBINED_FRAGMENT_UNIFORM_COMPONENTS MAX_SERVER_WAIT_TIMEOUT MAX_CLIENT_WAIT_TIMEOUT_WEBGL|" +
  "webgl_precision vertex_medium_float vertex_medium_float_range vertex_medium_int vertex_medium_int_range vertex_high_float vertex_high_float_range vertex_high_int vertex_high_int_range fragment_medium_float fragment_medium_float_range fragment_medium_int fragment_medium_int_range fragment_high_float fragment_high_float_range fragment_high_int fragment_high_int_range|" +
  "webgpu maxTextureDimension2D maxBufferSize maxComputeWorkgroupSizeX maxComputeInvocationsPerWorkgroup maxBindGroups maxStorageBufferBindingSize features_count|" +
  "font_width serif sans-serif monospace cursive fantasy system-ui emoji ui-serif ui-sans-serif ui-monospace ui-rounded|" +
  "text_metric width actualBoundingBoxLeft actualBoundingBoxRight actualBoundingBoxAscent actualBoundingBoxDescent fontBoundingBoxAscent fontBoundingBoxDescent hangingBaseline alphabeticBaseline ideographicBaseline|" +
  "rectangle rotated_x rotated_y rotated_width rotated_height skewed_width skewed_height zoomed_width inline_width inline_height range_width range_height emoji_width emoji_height svg_width svg_height svg_text_length|" +
  "rtc audio_codecs_count video_codecs_count audio_extensions_count video_extensions_count|" +
  "count window document navigator_prototype element_prototype computed_style math webgl_prototype webgl2_prototype array_prototype string_prototype object console keyboard_event_prototype supported_calendars supported_collations supported_currencies supported_numbering_systems supported_time_zones supported_units|" +
  "fingerprint screen_frame_top screen_frame_right screen_frame_bottom screen_frame_left font_default font_apple font_serif font_sans font_mono font_min font_system contrast audio_base_latency architecture apple_pay|" +
  "worker_page max_texture_size max_cube_map_texture_size max_render_buffer_size max_vertex_attribs max_vertex_uniform_vectors max_fragment_uniform_vectors max_varying_vectors max_combined_texture_units extensions_count languages_count clock_resolution global_names_count|" +
  "frame_page screen_height color_depth device_pixel_ratio device_memory max_touch_points languages_count plugins_count timezone_offset window_names_count navigator_names_count|" +
  "navigation redirect_count domain_lookup connect secure_connect request response dom_interactive dom_content_loaded dom_complete load first_paint first_contentful_paint transfer_size encoded_size decoded_size activation_start resources_count scripts_count|" +
  "clock date_step event_step frame_interval message_delay timer_delay integer_work float_work string_work sort_work layout_work|" +
  "memory heap_total heap_used|" +
  "sound output_latency analyser_fft_size analyser_min_decibels analyser_max_decibels compressor_reduction compressor_attack compressor_release compressor_threshold compressor_knee compressor_ratio listener_forward_z oscillator_max_frequency destination_channels destination_inputs biquad_sum triangle_sum|" +
  "voice local_count remote_count languages_count|" +
  "keyboard keys_count|" +
  "storage_detail usage_details_count cookies_length quota_ratio|" +
  "viewport document_width document_height client_width client_height scroll_bar_width visual_width visual_height zoom safe_area_top safe_area_bottom frames_count elements_count",
);

export const BOOLEANS = names(
  "navigator webdriver cookie_enabled online pdf_viewer_enabled do_not_track global_privacy_control java_enabled save_data has_user_agent_data has_build_id has_vibrate has_share|" +
  "client_hints mobile wow64|" +
  "screen is_extended fullscreen orientation_landscape|" +
  "webgl supported supported_2 antialias debug_renderer_info software_fallback|" +
  "canvas supported winding cleared to_blob|" +
  "audio supported|" +
  "fonts arial calibri cambria comic_sans consolas dejavu_sans futura geneva helvetica_neue liberation_sans menlo ms_gothic noto_color_emoji roboto segoe_ui ubuntu|" +
  "media codec_h264 codec_hevc codec_av1 codec_vp8 codec_vp9 codec_theora codec_aac codec_mp3 codec_opus codec_vorbis codec_flac codec_wav webrtc drm_widevine|" +
  "css hover any_hover pointer_fine pointer_coarse any_pointer_fine any_pointer_coarse dark_scheme reduced_motion reduced_transparency more_contrast less_contrast forced_colors inverted_colors gamut_srgb gamut_p3 gamut_rec2020 hdr display_standalone|" +
  "api chrome chrome_runtime chrome_app safari opr brave mozilla_inner_screen apple_pay_session payment_request bluetooth usb serial hid wake_lock web_share web_gpu web_authn eye_dropper file_system_access shared_array_buffer shared_worker service_worker push_manager notification speech_synthesis speech_recognition gamepads midi xr contact_picker idle_detector keyboard media_session presentation credential_management offscreen_canvas battery device_motion device_orientation touch_event network_information visual_viewport storage_foundation launch_queue barcode_detector trusted_types webkit_file_system open_database active_x buffer_node process_node|" +
  "storage local session indexed_db persisted file_system_denied|" +
  "battery charging|" +
  "automation cdp_runtime cdc_globals playwright_globals puppeteer_globals selenium_globals phantom_globals nightmare_globals dom_automation awesomium sequentum webdriver_attribute webdriver_altered native_code_altered navigator_own_properties prototype_altered proxy_detected languages_inconsistent permissions_inconsistent iframe_webdriver worker_webdriver source_url_marker devtools_open console_wrapped error_stack_marker|" +
  "worker supported|" +
  "frame supported|" +
  "page in_frame prerendered secure_context|" +
  "interface AbsoluteOrientationSensor ApplePaySession ApplePaySetup AsyncDisposableStack AudioData AudioSession AudioSinkInfo AudioTrack AudioTrackList BackgroundFetchManager BarcodeDetector BatteryManager BeforeInstallPromptEvent Bluetooth CSPViolationReportBody CSSFunctionRule CSSImageValue CSSMarginRule CSSMathClamp CSSMozDocumentRule CSSPositionTryRule CSSPositionValue CSSPseudoElement CSSScopeRule CSSStyleProperties CSSViewTransitionRule CanvasCaptureMediaStreamTrack CaptureController CaretPosition CharacterBoundsUpdateEvent ClipboardChangeEvent CloseWatcher CommandEvent ContactsManager CropTarget DataCue DevicePosture DigitalCredential DocumentPictureInPicture EventCounts EyeDropper FeaturePolicy FederatedCredential Fence FetchLaterResult FileSystemObserver FileSystemWritableFileStream Float16Array FontData FontFaceSetLoadEvent GPU GamepadPose GestureEvent GravitySensor HID HTMLAttachmentElement HTMLCameraElement HTMLModelElement HTMLSelectedContentElement HTMLUserMediaElement IdentityCredential IdentityCredentialError IdentityProvider IdleDetector ImageCapture ImageDecoder InputDeviceCapabilities InputDeviceInfo InstallTrigger InterestEvent Iterator Keyboard LanguageModel LargestContentfulPaint LaunchParams LayoutShift LayoutShiftAttribution MIDIAccess ManagedMediaSource MediaController MediaSourceHandle MediaStreamTrackAudioSourceNode MediaStreamTrackAudioStats MediaStreamTrackProcessor MerchantValidationEvent MouseScrollEvent NDEFReader NavigateEvent NavigationActivation NavigatorLogin NavigatorUAData NetworkInformation OTPCredential OffscreenCanvas Origin OverconstrainedError PageRevealEvent PageSwapEvent PaymentAddress PaymentManager PaymentRequest PerformanceEventTiming PerformanceLongAnimationFrameTiming PerformanceLongTaskTiming PeriodicSyncManager PermissionsPolicy PictureInPictureEvent PictureInPictureWindow PressureObserver PushManager QuotaExceededError RemotePlayback ReportingObserver RestrictionTarget SVGDiscardElement Sanitizer Scheduler Scheduling ScreenDetailed ScrollTimeline Serial SharedArrayBuffer SharedWorker SnapEvent SpeechGrammar SpeechRecognition SpeechRecognitionPhrase StorageBucket StyleMedia SuppressedError SyncManager Temporal TouchEvent TouchList TrustedHTML URLPattern USB VideoTrackGenerator ViewTransitionTypeSet VisibilityStateEntry WebAssembly WebKitCSSMatrix WebKitMediaKeys WebKitMutationObserver WebKitPlaybackTargetAvailabilityEvent WebKitPoint WebSocketError WebTransport WebTransportSendGroup WindowControlsOverlay XRAnchor XRCamera XRHitTestSource XRSystem XRWebGLBinding mozRTCPeerConnection webkitAudioContext webkitMediaStream webkitRTCPeerConnection webkitSpeechRecognition|" +
  "window_member onpagereveal onpageswap onsearch onbeforeinstallprompt offscreenBuffering styleMedia chrome fetchLater getScreenDetails queryLocalFonts showDirectoryPicker fence launchQueue documentPictureInPicture sharedStorage webkitRequestFileSystem webkitCancelAnimationFrame getDefaultComputedStyle scrollByLines mozInnerScreenX scrollMaxX fullScreen netscape onmozfullscreenchange ondragexit safari opr brave ontouchstart ongestureend onorientationchange orientation ongamepadconnected ondevicemotion onwebkitmouseforcechanged openDatabase crossOriginIsolated speechSynthesis trustedTypes showModalDialog|" +
  "navigator_member userActivation webkitTemporaryStorage windowControlsOverlay pdfViewerEnabled connection vibrate cpuPerformance protectedAudience clipboard keyboard managed mediaDevices serviceWorker virtualKeyboard wakeLock deviceMemory userAgentData gpu login ink devicePosture hid serial usb xr storageBuckets canLoadAdAuctionFencedFrame getBattery webkitGetUserMedia mozGetUserMedia requestMIDIAccess setAppBadge joinAdInterestGroup getInstalledRelatedApps getAutoplayPolicy taintEnabled oscpu buildID globalPrivacyControl bluetooth contacts share canShare modelContext brave standalone audioSession getGamepads|" +
  "css_property accent-color alignment-baseline anchor-name anchor-scope animation-range animation-trigger baseline-shift baseline-source border-shape box-decoration-break buffered-rendering caret-animation caret-shape color-adjust color-rendering column-height corner-bottom-shape dynamic-range-limit field-sizing fit-tolerance flex-line-count font-language-override font-synthesis-position font-variant-emoji font-width forced-color-adjust frame-sizing glyph-orientation-vertical hanging-punctuation hyphenate-limit-chars hyphenate-limit-lines ime-mode initial-letter interactivity interest-delay interpolate-size margin-trim mask-border math-depth math-shift object-view-box orphans overflow-anchor overflow-block overlay overscroll-behavior position-anchor position-area position-visibility print-color-adjust reading-flow row-rule ruby-overhang scroll-axis-lock scroll-initial-target scrollbar-color speak speak-as text-autospace text-box text-decoration-inset text-decoration-skip text-decoration-skip-spaces text-justify text-size-adjust text-spacing-trim text-wrap-mode timeline-scope user-select view-transition-class view-transition-name window-drag -webkit-line-clamp -webkit-app-region -webkit-user-drag -moz-appearance -moz-user-focus -moz-osx-font-smoothing -ms-ime-align -apple-pay-button-style|" +
  "css_selector has(*) open popover-open modal user-valid autofill fullscreen picture-in-picture playing muted volume-locked state(x) target-current has-slotted -moz-focusring -moz-broken -webkit-autofill host-context(a) dir(ltr) nth-child(1_of_a) :details-content :picker(select) :highlight(x) :target-text :grammar-error :-moz-progress-bar :-webkit-scrollbar :-ms-clear|" +
  "media_query prefers-color-scheme_light prefers-color-scheme_dark prefers-reduced-data_reduce prefers-contrast_custom prefers-contrast_no-preference display-mode_browser display-mode_fullscreen display-mode_minimal-ui display-mode_window-controls-overlay scripting_enabled update_fast update_slow grid_1 video-dynamic-range_high environment-blending_opaque vertical-viewport-segments_1 device-posture_continuous shape_rect orientation_portrait orientation_landscape color-index_0 -webkit-transform-3d_1 -moz-device-orientation_landscape -ms-high-contrast_active|" +
  "webgl_extension ANGLE_instanced_arrays EXT_blend_minmax EXT_clip_control EXT_color_buffer_half_float EXT_depth_clamp EXT_disjoint_timer_query EXT_float_blend EXT_frag_depth EXT_polygon_offset_clamp EXT_shader_texture_lod EXT_texture_compression_bptc EXT_texture_compression_rgtc EXT_texture_filter_anisotropic EXT_texture_mirror_clamp_to_edge EXT_sRGB KHR_parallel_shader_compile OES_element_index_uint OES_fbo_render_mipmap OES_standard_derivatives OES_texture_float OES_texture_float_linear OES_texture_half_float OES_texture_half_float_linear OES_vertex_array_object WEBGL_blend_func_extended WEBGL_color_buffer_float WEBGL_compressed_texture_astc WEBGL_compressed_texture_etc WEBGL_compressed_texture_etc1 WEBGL_compressed_texture_pvrtc WEBGL_compressed_texture_s3tc WEBGL_compressed_texture_s3tc_srgb WEBGL_debug_renderer_info WEBGL_debug_shaders WEBGL_depth_texture WEBGL_draw_buffers WEBGL_lose_context WEBGL_multi_draw WEBGL_polygon_mode|" +
  "webgl2_extension EXT_clip_control EXT_color_buffer_float EXT_color_buffer_half_float EXT_conservative_depth EXT_depth_clamp EXT_disjoint_timer_query_webgl2 EXT_float_blend EXT_polygon_offset_clamp EXT_render_snorm EXT_texture_compression_bptc EXT_texture_compression_rgtc EXT_texture_filter_anisotropic EXT_texture_mirror_clamp_to_edge EXT_texture_norm16 KHR_parallel_shader_compile NV_shader_noperspective_interpolation OES_draw_buffers_indexed OES_sample_variables OES_shader_multisample_interpolation OES_texture_float_linear OVR_multiview2 WEBGL_blend_func_extended WEBGL_clip_cull_distance WEBGL_compressed_texture_astc WEBGL_compressed_texture_etc WEBGL_compressed_texture_etc1 WEBGL_compressed_texture_pvrtc WEBGL_compressed_texture_s3tc WEBGL_compressed_texture_s3tc_srgb WEBGL_debug_renderer_info WEBGL_debug_shaders WEBGL_draw_instanced_base_vertex_base_instance WEBGL_lose_context WEBGL_multi_draw WEBGL_polygon_mode WEBGL_provoking_vertex WEBGL_render_shared_exponent WEBGL_stencil_texturing|" +
  "webgpu supported fallback|" +
  "font Agency_FB Arial_Black Arial_Hebrew Arial_Rounded_MT_Bold Avenir Bahnschrift Cantarell Carlito Century_Gothic Chalkboard Charter Constantia Corbel DejaVu_Serif Droid_Sans Droid_Sans_Mono FreeSans Galvji Gill_Sans HoloLens_MDL2_Assets Impact Liberation_Mono Lucida_Console Lucida_Grande Malgun_Gothic Marlett Meiryo Microsoft_YaHei Monaco Noto_Sans Noto_Serif Optima Palatino PingFang_SC PMingLiU Rockwell SF_Pro Segoe_Fluent_Icons Segoe_UI_Emoji Segoe_UI_Variable Sitka_Text Tahoma Times_New_Roman Trebuchet_MS Ubuntu_Mono Verdana Yu_Gothic Zapfino|" +
  "can_play h264_baseline h264_high hevc_main hevc_main10 av1_main av1_10bit vp8 vp9 vp9_profile2 theora dolby_vision aac_lc aac_he mp3 opus opus_mp4 vorbis flac flac_mp4 alac wav ac3 eac3 matroska hls three_gpp quicktime amr|" +
  "media_source h264_baseline h264_high hevc_main hevc_main10 av1_main av1_10bit vp8 vp9 vp9_profile2 dolby_vision aac_lc aac_he mp3 opus opus_mp4 flac flac_mp4 ac3 eac3|" +
  "recorder h264_baseline av1_main vp8 vp9 aac_lc mp3 opus opus_mp4 flac wav matroska|" +
  "altered Function.prototype.toString Object.getOwnPropertyDescriptor Reflect.ownKeys Navigator.userAgent Navigator.platform Navigator.languages Navigator.hardwareConcurrency Navigator.deviceMemory Navigator.webdriver Navigator.plugins Navigator.userAgentData Navigator.maxTouchPoints Screen.width Screen.height Window.innerWidth Window.outerWidth Window.devicePixelRatio HTMLCanvasElement.toDataURL HTMLCanvasElement.toBlob HTMLCanvasElement.getContext CanvasRenderingContext2D.getImageData CanvasRenderingContext2D.fillText CanvasRenderingContext2D.measureText WebGLRenderingContext.getParameter WebGLRenderingContext.getExtension WebGLRenderingContext.readPixels WebGL2RenderingContext.getParameter AudioBuffer.getChannelData AnalyserNode.getFloatFrequencyData Element.getBoundingClientRect HTMLElement.offsetWidth Date.getTimezoneOffset Intl.DateTimeFormat.resolvedOptions Permissions.query MediaDevices.enumerateDevices RTCPeerConnection.createOffer HTMLIFrameElement.contentWindow EventTarget.addEventListener Performance.now Error.stack HTMLMediaElement.canPlayType|" +
  "botd AppVersion DocumentAttributes ErrorTrace EvalLengthInconsistency FunctionBind LanguagesLengthInconsistency NotificationPermissions PluginsArray PluginsLengthInconsistency Process UserAgent WebDriver WebGL WindowExternal WindowSize MimeTypesConsistent ProductSub DistinctiveProperties|" +
  "fpscanner headlessChromeScreenResolution hasWebdriver hasWebdriverWritable hasSeleniumProperty hasCDP hasPlaywright hasImpossibleDeviceMemory hasHighCPUCount hasMissingChromeObject hasWebdriverIframe hasWebdriverWorker hasMismatchWebGLInWorker hasMismatchPlatformIframe hasMismatchPlatformWorker hasSwiftshaderRenderer hasUTCTimezone hasMismatchLanguages hasInconsistentEtsl hasBotUserAgent hasGPUMismatch hasPlatformMismatch hasContextMismatch modified_canvas valid_plugin_array plugin_overflow to_source|" +
  "worker_interface OffscreenCanvas WebGL2RenderingContext GPU Notification SharedWorker Worker WebTransport VideoDecoder MediaSourceHandle FileSystemSyncAccessHandle USB HID Serial WebAssembly PushManager NetworkInformation NavigatorUAData TrustedTypePolicyFactory RTCDataChannel IdleDetector PressureObserver StorageManager ReportingObserver|" +
  "worker_page online has_user_agent_data webgl_supported webgl2_supported secure_context|" +
  "frame_page has_user_agent_data has_chrome native_code_differs chrome_differs|" +
  "picture offscreen_equal jpeg_supported webp_supported avif_supported filter_supported conic_gradient_supported round_rectangle_supported color_space_p3|" +
  "plugin pdf native_client widevine flash consistent|" +
  "client_hint low_entropy_consistent wow64_known|" +
  "storage_detail cookies_writable cache_storage opfs web_sql persisted_granted partitioned|" +
  "viewport scroll_bar_overlay has_focus visible menu_bar tool_bar location_bar personal_bar status_bar scroll_bars",
);

export const CATEGORIES = names(
  "navigator platform vendor vendor_sub product_sub language connection_type oscpu app_name|" +
  "client_hints platform platform_version architecture bitness brand model|" +
  "intl locale calendar numbering_system hour_cycle number_format date_format|" +
  "webgl vendor renderer version shading_language extensions parameters image|" +
  "canvas text geometry emoji|" +
  "maths acos acosh asinh atanh cosh expm1 log1p sinh tan pow|" +
  "fonts list|" +
  "permissions notifications notification_api geolocation camera microphone clipboard_read midi|" +
  "worker user_agent platform language timezone webgl_vendor webgl_renderer|" +
  "frame user_agent platform language|" +
  "webgpu vendor architecture description|" +
  "rtc audio_codecs video_codecs audio_extensions video_extensions|" +
  "maths_exact asin_0.12312423423423424 atanh_0.5 cbrt_100 cos_1e300 cos_21 cosh_10 exp_100 log_1.7e-8 log10_7e-8 sin_1e300 sin_39 sinh_100 tan_-1e300 tan_6 tanh_0.123|" +
  "error_message null_property undefined_call json_parse invalid_date invalid_regexp array_length big_int_mix stack_overflow invalid_base64 constant_assigned symbol_constructed dom_hierarchy number_precision not_iterable|" +
  "intl_option date_locale date_time_zone date_hour_cycle number_locale collator_locale collator_case_first currency_text percent_text compact_text unit_text long_date_text short_date_text relative_text list_text month_text weekday_text region_text language_text|" +
  "system_color AccentColor AccentColorText ActiveText ButtonBorder ButtonFace ButtonText Canvas CanvasText Field FieldText GrayText Highlight HighlightText LinkText Mark MarkText SelectedItem SelectedItemText VisitedText InfoBackground|" +
  "system_font caption icon menu message-box small-caption status-bar|" +
  "fingerprint visitor userAgentData fonts fontPreferences audio canvas_geometry canvas_text osCpu languages screenResolution timezone cpuClass plugins touchSupport vendorFlavors colorGamut math dateTimeLocale webGlBasics webGlExtensions_parameters webGlExtensions_shader webGlExtensions_list webGlExtensions_unsupported|" +
  "botd kind browser_kind engine_kind|" +
  "fpscanner extensions descriptors maths canvas codecs_audio codecs_video|" +
  "worker_page languages locale client_hints_platform client_hints_brand canvas_text canvas_geometry webgl_version webgl_image maths error_message number_format app_version connection_type|" +
  "frame_page languages vendor timezone locale webgl_vendor webgl_renderer canvas_text maths error_message client_hints_platform|" +
  "navigation type protocol delivery_type render_blocking visibility|" +
  "sound state channel_interpretation noise_hash|" +
  "picture gradient shadow blend curves text_rtl text_emoji_zwj image_data jpeg webp path offscreen|" +
  "voice default list|" +
  "keyboard layout|" +
  "plugin list mime_types|" +
  "permission accelerometer ambient-light-sensor background-fetch background-sync clipboard-write display-capture gyroscope idle-detection local-fonts magnetometer payment-handler persistent-storage screen-wake-lock storage-access window-management periodic-background-sync push nfc|" +
  "client_hint full_version brands form_factors platform_low_entropy",
);

export const TEXTS = names(
  "navigator user_agent languages|" +
  "intl timezone|" +
  "webgl unmasked_vendor unmasked_renderer|" +
  "page url referrer title last_error",
);

export const CODES = {
  page_opened: 100,
  page_visible: 101,
  page_hidden: 102,
  batch_sent: 103,
  resized: 104,
  entries_capped: 105,
  form_step: 200,
  field_focused: 201,
  field_left: 202,
  key_interval: 203,
  pointer_summary: 204,
  touch_summary: 205,
  scrolled: 206,
  clicked: 207,
  submitted: 208,
  payment_succeeded: 209,
  merchant_mark: 210,
  api_timing: 211,
  activated_by_key: 212,
  tab_left: 300,
  tab_returned: 301,
  window_blurred: 302,
  close_attempted: 303,
  navigated_back: 304,
  pasted: 400,
  copied: 401,
  autofilled: 402,
  untrusted_event: 403,
  click_without_trail: 404,
  value_set_by_script: 405,
  devtools_opened: 406,
  payment_declined: 407,
  script_error: 500,
  promise_rejected: 501,
  api_failed: 502,
  agent_failed: 503,
  entries_dropped: 504,
} as const;

export const TARGETS = {
  none: 0,
  document: 1,
  form: 2,
  button: 3,
  link: 4,
  frame: 5,
  card_number: 10,
  card_expiry: 11,
  card_cvv: 12,
  cardholder_name: 13,
  name: 14,
  email: 15,
  phone: 16,
  address: 17,
  postal_code: 18,
  password: 19,
  one_time_code: 20,
  amount: 21,
  other_text: 22,
} as const;
